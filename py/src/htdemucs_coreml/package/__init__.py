"""Core ML packages: written canonically, read strictly, compared with the lock."""
