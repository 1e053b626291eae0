"""Fuzz the project's parsers: ``python -m fuzz``, which ``just fuzz-py`` runs."""

import os
import sys
from pathlib import Path

import click

from fuzz import campaign
from fuzz.targets import TARGETS

_ROW = "{:<20} {:>11} {:>9} {:>9} {:>8} {:>9}"


@click.group()
def main() -> None:
    """Fuzz the project's own parsers."""


@main.command("run")
@click.option(
    "--executions", type=click.IntRange(1), default=1_000_000, show_default=True, help="Of all targets together."
)
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count, help="Targets at a time; all cores' worth.")
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder that is kept.")
@click.argument("names", metavar="[TARGET]...", nargs=-1, type=click.Choice(sorted(TARGETS)))
def run_targets(executions: int, processes: int, state: Path, names: tuple[str, ...]) -> None:
    """Run targets, by default all, until each had its share of executions; fails on a finding."""
    targets = [TARGETS[name] for name in dict.fromkeys(names or TARGETS)]
    click.echo(_ROW.format("target", "executions", "coverage", "features", "seconds", "findings"))
    outcomes = []
    for outcome in campaign.run(targets, executions, processes, state.absolute()):
        outcomes.append(outcome)
        _print_row(outcome.target, outcome)
    total = sum(outcome.executions for outcome in outcomes)
    findings = sum(len(outcome.findings) for outcome in outcomes)
    click.echo(_ROW.format("together", f"{total:,}", "", "", "", findings))
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    for outcome in failed:
        for finding in outcome.findings:
            click.echo(f"{outcome.target} failed; again: {campaign.reproducing(outcome, finding)}", err=True)
        if not outcome.findings:
            click.echo(f"{outcome.target} ended early without a finding; see {outcome.log}", err=True)
    sys.exit(1 if failed else 0)


@main.command("input")
@click.argument("name", metavar="TARGET", type=click.Choice(sorted(TARGETS)))
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def run_input(name: str, path: Path) -> None:
    """Run one input through a target, without a fuzzer; what it raises ends the command with its traceback."""
    TARGETS[name].check(path.read_bytes())
    click.echo(f"{name}: {path} passes")


def _print_row(name: str, outcome: campaign.Outcome) -> None:
    click.echo(
        _ROW.format(
            name,
            f"{outcome.executions:,}",
            f"{outcome.coverage:,}",
            f"{outcome.features:,}",
            f"{outcome.seconds:.0f}",
            len(outcome.findings),
        )
    )


if __name__ == "__main__":
    main(prog_name="fuzz")
