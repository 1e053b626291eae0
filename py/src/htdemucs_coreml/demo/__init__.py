"""The demonstration: a song of the project's own through a package, compared with PyTorch."""
