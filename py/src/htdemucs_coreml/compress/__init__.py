"""Compression of a program's constants: palettes and integers, and the plans that say which constant gets what."""
