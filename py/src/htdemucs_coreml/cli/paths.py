"""Paths that a user gives."""

import os
from pathlib import Path

import click


class GivenPath(click.Path):
    """A `Path` that is not empty; whether it can be read is told by what reads it, as an error of that input.

    An empty one, as from a variable that is not set, would mean the current folder.
    """

    def __init__(self) -> None:
        super().__init__(readable=False, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the path, or refuse an empty one as wrong usage."""
        if os.fspath(value) == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)
