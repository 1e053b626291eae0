"""``inspect``: what a package computes and what it weighs, without running it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.convert.operation_names import SEPARATOR
from htdemucs_coreml.mil import Analysis, analyse
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.package.reader import Package, read_package

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml inspect fixture.float32.mlpackage
  htdemucs-coreml inspect fixture.float32.mlpackage --largest 20 --json
"""


@click.command("inspect", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("package", type=GivenPath())
@click.option(
    "--largest",
    default=5,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=0),
    help="How many of the largest constants to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(package: Path, largest: int, as_json: bool) -> None:
    """Count a PACKAGE's operations, multiply-adds, constants and memory.

    Operations are counted without constants. Memory is the most that the values between operations take at any
    moment, by their declared types; weights come on top.
    """
    read = read_package(package)
    analysis = analyse(read_program(package))
    table = _table(read, analysis, largest)
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    click.echo(printable(f"{package}  {read.metadata.model} {read.metadata.variant}"))
    click.echo(f"operations         {table['operations']}")
    click.echo(f"package            {table['bytes'] / 1e6:.2f} MB")
    click.echo(f"constants          {table['constant_bytes'] / 1e6:.2f} MB")
    click.echo(f"multiply-adds      {table['multiply_adds'] / 1e9:.1f} G a segment")
    peak = table["peak_memory"]
    click.echo(f"activation memory  {peak['bytes'] / 1e6:.1f} MB at most, in {printable(peak['operation'])}")
    for title, rows, unit in (
        ("operations by type", table["operations_by_type"], ""),
        ("operations by element type", table["operations_by_dtype"], ""),
        ("multiply-adds by operation and element type", table["multiply_adds_by_type"], ""),
        ("bytes of constants by block", table["constant_bytes_by_block"], " B"),
        ("largest constants", table["largest_constants"], " B"),
    ):
        click.echo(f"\n{title}")
        width = max((len(name) for name in rows), default=0)
        for name, value in rows.items():
            click.echo(f"  {printable(name):<{width}}  {value:>15,}{unit}")


def _table(package: Package, analysis: Analysis, largest: int) -> dict[str, Any]:
    by_block: Counter[str] = Counter()
    for constant in analysis.constants:
        by_block[constant.name.split(SEPARATOR)[0]] += constant.bytes
    descending = sorted(analysis.constants, key=lambda constant: (-constant.bytes, constant.name))
    return {
        "model": package.metadata.model,
        "variant": package.metadata.variant,
        "sha256": package.digest,
        "bytes": package.bytes,
        "operations": analysis.operations,
        "operations_by_type": dict(analysis.operations_by_type),
        "operations_by_dtype": {dtype.value.lower(): count for dtype, count in analysis.operations_by_dtype.items()},
        "multiply_adds": sum(analysis.multiply_adds.values()),
        "multiply_adds_by_type": {
            f"{operation} {dtype.value.lower()}": count for (operation, dtype), count in analysis.multiply_adds.items()
        },
        "constant_bytes": analysis.constant_bytes,
        "constant_bytes_by_block": dict(sorted(by_block.items())),
        "largest_constants": {constant.name: constant.bytes for constant in descending[:largest]},
        "peak_memory": {"bytes": analysis.peak_memory.bytes, "operation": analysis.peak_memory.operation},
    }
