"""The command-line tool ``htdemucs-coreml``; each command is a module of its own, imported when it is used."""

from htdemucs_coreml.cli.application import main

__all__ = ["main"]
