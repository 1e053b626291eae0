"""``inspect``: what a package computes and what it weighs, without running it."""

import json
from pathlib import Path

import click

from htdemucs_coreml.charts import SUFFIXES
from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.inspection import figures, inspect_package
from htdemucs_coreml.cli.inspection_chart import write_chart
from htdemucs_coreml.cli.inspection_report import report
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.terminal_text import printable

_FIRST = 3

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml inspect fixture.mixed.mlpackage
  htdemucs-coreml inspect fixture.mixed.mlpackage --depth 2 --largest 20
  htdemucs-coreml inspect fixture.mixed.mlpackage --chart fixture.svg
  htdemucs-coreml inspect fixture.mixed.mlpackage --json
"""


@click.command("inspect", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("package", type=GivenPath())
@click.option(
    "--depth",
    default=1,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=1),
    help="How many modules of an operation's path make the name of its block.",
)
@click.option(
    "--largest",
    default=5,
    show_default=True,
    metavar="N",
    type=click.IntRange(min=0),
    help="How many of the largest constants to list.",
)
@click.option("--chart", metavar="FILE", type=GivenPath(), help="Draw a chart into FILE, which ends in .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(package: Path, depth: int, largest: int, chart: Path | None, as_json: bool) -> None:
    """Count a PACKAGE's operations, multiply-adds, constants and memory, per block and in total.

    Operations are counted without constants. Memory is the most that the values between operations take at any
    moment, by their declared types; weights come on top. Operations that break a public rule of Apple's Neural
    Engine are named, with the rule and where it is said.
    """
    if chart is not None and chart.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{printable(str(chart))} has to end in .svg or .png", param_hint="--chart")
    inspection = inspect_package(package, depth)
    found = figures(inspection, largest, _FIRST)
    if chart is not None:
        write_chart(chart, inspection)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    metadata = inspection.package.metadata
    click.echo(printable(f"{package}  {metadata.model} {metadata.variant}"))
    for line in report(found):
        click.echo(line)
