"""The corpus: twelve named songs whose recipes come with the package.

Eight are for development: whoever changes the project may listen to them, plot them and choose by them. Four are held
out: figures are reported on them, and nothing is chosen by them. Their seeds are 2^40 and above; what learns from
invented songs takes seeds below.
"""

from collections.abc import Mapping
from importlib import resources

from htdemucs_coreml.songs.recipe import Recipe, parse_recipe

FIRST_CORPUS_SEED = 1 << 40
"""The seeds of the corpus are at or above this."""


def corpus() -> Mapping[str, Recipe]:
    """All recipes of the corpus by their names, in alphabetical order."""
    folder = resources.files(__package__) / "corpus"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    recipes = (parse_recipe(file.read_text(encoding="utf-8"), file.name) for file in files)
    return {recipe.name: recipe for recipe in recipes}
