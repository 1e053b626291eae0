"""Models: architectures and where their weights come from."""
