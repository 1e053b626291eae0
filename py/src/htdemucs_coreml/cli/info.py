"""``info``: what a package is."""

import json
from pathlib import Path

import click

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.package.reader import read_package

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml info fixture.mixed.mlpackage
  htdemucs-coreml info fixture.mixed.mlpackage --json
"""


@click.command("info", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("package", type=GivenPath())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(package: Path, as_json: bool) -> None:
    """Say what a PACKAGE is: its metadata, inputs, outputs, sizes and digests, all checked.

    Fails if the layout is not a package's, the metadata is incomplete, or a file is not the one that the metadata
    names.
    """
    read = read_package(package)
    contract = read.metadata.contract
    digests = {str(file): digest for file, digest in sorted(read.sha256.items(), key=str)}
    if as_json:
        table = {
            "metadata": read.metadata.to_strings() | {"sources": list(read.metadata.sources)},
            "inputs": contract.input_shapes,
            "outputs": contract.output_shapes,
            "bytes": read.bytes,
            "sha256": read.digest,
            "files": digests,
        }
        click.echo(json.dumps(table, indent=2))
        return
    rows = {
        **read.metadata.to_strings(),
        "sources": ", ".join(read.metadata.sources),
        **{f"input {name}": _shape(shape) for name, shape in contract.input_shapes.items()},
        **{f"output {name}": _shape(shape) for name, shape in contract.output_shapes.items()},
        "size": f"{read.bytes / 1e6:.2f} MB",
        "sha256": read.digest,
        **digests,
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        click.echo(f"{name:<{width}}  {printable(value)}")


def _shape(shape: tuple[int, ...]) -> str:
    return f"float32 [{', '.join(map(str, shape))}]"
