"""Prove that packages do not depend on the machine: ``python -m repro``, which ``just repro`` runs."""

import json
import os
import sys
import tempfile
from pathlib import Path

import click

from htdemucs_coreml.cli import application
from htdemucs_coreml.convert.variants import default_variant, variants
from htdemucs_coreml.files import atomic_file
from repro.locked import compare_reference
from repro.report import HEADING, as_markdown, as_table, last_line, row
from repro.reproduction import Reproduction, Result, Subject
from repro.subject import BREAKS
from repro.variations import read_plan

_PLAN = read_plan()
_DEFAULT_VARIANT = default_variant().name
_QUICK_VARIANT = "float32"


@click.group()
def main() -> None:
    """Convert again under other conditions, and compare the bytes."""


@main.command()
@click.option("--quick", is_flag=True, help="A small architecture in place of the fixture at full size.")
@click.option(
    "--variant",
    "names",
    multiple=True,
    type=click.Choice(list(variants())),
    help=f"A variant to convert; may be given again.  [default: {_DEFAULT_VARIANT}; with --quick {_QUICK_VARIANT}]",
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([variation.name for variation in _PLAN.variations]),
    help="A variation to run in place of all; may be given again.",
)
@click.option("--processes", type=click.IntRange(1), default=os.cpu_count, help="Conversions at a time.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="File for the outcome.")
@click.option("--allow-missing", is_flag=True, help="Variations that cannot run on this machine are no failure.")
@click.option("--break", "taken_out", type=click.Choice(list(BREAKS)), help="Take a part out of the conversion.")
def run(
    quick: bool,
    names: tuple[str, ...],
    only: tuple[str, ...],
    processes: int,
    json_file: Path | None,
    allow_missing: bool,
    taken_out: str | None,
) -> None:
    """Run every variation and its control.

    Fails unless all give the bytes of the reference, every control is caught, enough variations ran, and the fixture's
    reference is what goldens/lock.json says.
    """
    names = names or (_QUICK_VARIANT if quick else _DEFAULT_VARIANT,)
    subject = Subject("small" if quick else "full", tuple(dict.fromkeys(names)), taken_out or "nothing")
    chosen = [variation for variation in _PLAN.variations if not only or variation.name in only]
    with tempfile.TemporaryDirectory(prefix="repro-") as folder:
        scratch = Path(folder).resolve()
        # Another user has to reach what lies in it.
        scratch.chmod(0o755)
        reproduction = Reproduction(_PLAN, subject, scratch)
        lines, as_locked = compare_reference(subject, reproduction.packages)
        click.echo("\n".join([f"the reference took {reproduction.seconds:.0f} s", *lines, HEADING]))
        outcomes = []
        for outcome in reproduction.run(chosen, processes):
            outcomes.append(outcome)
            click.echo("\n".join(row(outcome)))
        outcomes.sort(key=lambda outcome: chosen.index(outcome.variation))
        if json_file is not None:
            table = as_table(subject, reproduction.packages, outcomes)
            with atomic_file(json_file) as partial:
                partial.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    missing = [outcome for outcome in outcomes if outcome.result is Result.NOT_RUN]
    failed = [outcome for outcome in outcomes if not outcome.succeeded and outcome not in missing]
    too_few = not only and len(outcomes) - len(missing) < _PLAN.minimum
    if too_few:
        click.echo(f"fewer than {_PLAN.minimum} variations ran")
    if missing and not allow_missing:
        click.echo(f"{len(missing)} could not run here: install what is missing, or say --allow-missing")
    click.echo(last_line(outcomes))
    sys.exit(1 if failed or too_few or not as_locked or (missing and not allow_missing) else 0)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def table(file: Path) -> None:
    """Print the outcome that --json wrote to FILE as the documentation shows it."""
    click.echo("\n".join(as_markdown(file)))


if __name__ == "__main__":
    application.run(main, prog_name="repro")
