"""Conversion of the core to a Core ML program."""
