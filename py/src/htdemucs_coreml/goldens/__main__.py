"""Run as ``python -m htdemucs_coreml.goldens check EXPECTED ACTUAL``."""

import sys
from pathlib import Path

import click

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.goldens.comparison import first_difference
from htdemucs_coreml.goldens.errors import GoldenError
from htdemucs_coreml.goldens.reading import open_goldens


@click.group()
def main() -> None:
    """Check folders of goldens."""


@main.command()
@click.argument("expected", type=click.Path(path_type=Path))
@click.argument("actual", type=click.Path(path_type=Path))
def check(expected: Path, actual: Path) -> None:
    """Fail, naming the first golden that differs, unless folder ACTUAL holds what folder EXPECTED does."""
    difference = first_difference(expected, actual)
    if difference is not None:
        raise GoldenError(f"{difference}\nIf this is on purpose, run `just update-goldens`.")
    entries = open_goldens(actual).entries
    size = sum(entry.bytes for entry in entries.values())
    click.echo(f"{len(entries)} goldens, {size} bytes: as committed")


if __name__ == "__main__":
    try:
        main()
    except HTDemucsCoreMLError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
