"""Writes the small set of goldens, committed as ``goldens/small``: ``python py/goldens/small.py OUTPUT_FOLDER``."""

from pathlib import Path

import click
from chunk_plan_goldens import add_chunk_plan_goldens
from model_goldens import add_model_goldens
from stft_goldens import add_stft_goldens

from htdemucs_coreml.goldens.writing import new_goldens


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
def main(output: Path) -> None:
    """Write the goldens into the folder OUTPUT, which is replaced as a whole."""
    with new_goldens(output) as writer:
        add_stft_goldens(writer)
        add_chunk_plan_goldens(writer)
        add_model_goldens(writer)
        count = len(writer.entries)
        size = sum(entry.bytes for entry in writer.entries.values())
    click.echo(f"{count} goldens, {size} bytes")


if __name__ == "__main__":
    main()
