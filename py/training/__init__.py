"""Training of the model ``nano`` on the project's own songs: ``python -m training``, which ``just train-nano`` runs."""
