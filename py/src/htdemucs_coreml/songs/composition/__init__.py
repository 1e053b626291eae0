"""From a recipe to notes: harmony, rhythm, and what each role plays."""
