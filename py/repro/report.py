"""The outcome as a table, as JSON, and as a table of the documentation."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from htdemucs_coreml.package.reader import read_package
from repro.errors import ReproductionError
from repro.process import cpu_name
from repro.reproduction import Control, Outcome, Result, Subject

_ROW = "{:<20} {:<43} {:<10} {:<9} {:>6}  {}"
HEADING = _ROW.format("variation", "what is different", "bytes", "control", "s", "by").rstrip()
_GIT_SECONDS = 30


def row(outcome: Outcome) -> Iterator[str]:
    """An outcome as a row of the table, and what there is to say of it in lines below."""
    variation = outcome.variation
    seconds = f"{outcome.seconds:.0f}" if outcome.seconds else ""
    yield _ROW.format(
        variation.name, variation.what, outcome.result.value, outcome.control.value, seconds, outcome.way
    ).rstrip()
    for detail in outcome.detail:
        for line in detail.splitlines():
            yield f"  {line}"


def last_line(outcomes: Sequence[Outcome]) -> str:
    """How many variations there are, how many of them give the same bytes, and how many controls were caught."""
    identical = sum(outcome.result is Result.IDENTICAL for outcome in outcomes)
    caught = sum(outcome.control is Control.CAUGHT for outcome in outcomes)
    return f"{len(outcomes)} variations, {identical} identical, {caught} controls caught"


def as_table(subject: Subject, packages: Path, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything that is known of a run, as plain values.

    Parameters
    ----------
    subject : Subject
        What was converted.
    packages : Path
        The folder of the reference's packages.
    outcomes : sequence of Outcome
        In the order of the table.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _git("describe", "--always", "--dirty", "--abbrev=12"),
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **{name: version(name) for name in ("coremltools", "numpy", "torch")},
        },
        "subject": {
            "kind": subject.kind,
            "taken_out": subject.taken_out,
            "packages": {name: read_package(packages / f"{name}.mlpackage").digest for name in subject.variants},
        },
        "variations": [
            {
                "name": outcome.variation.name,
                "what": outcome.variation.what,
                "result": outcome.result.name.lower(),
                "control": outcome.control.name.lower(),
                "by": outcome.way,
                "detail": list(outcome.detail),
                "seconds": round(outcome.seconds, 1),
            }
            for outcome in outcomes
        ],
        "summary": last_line(outcomes),
    }


def as_markdown(path: Path) -> Iterator[str]:
    """A run's JSON as the documentation shows it.

    Raises
    ------
    ReproductionError
        If the file is not the JSON of a run.
    """
    try:
        table = json.loads(path.read_bytes())
        yield from _markdown(table)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReproductionError(f"{path} is not what --json writes: {error!r}") from error


def _markdown(table: Mapping[str, Any]) -> Iterator[str]:
    machine, subject = table["machine"], table["subject"]
    packages = ", ".join(f"{name} `{digest[:12]}…`" for name, digest in subject["packages"].items())
    what = "the fixture at full size" if subject["kind"] == "full" else "the small model of the tests"
    yield f"{table['date']}, commit {table['commit']}; {machine['cpu']}, {machine['cores']} cores, {machine['system']};"
    yield f"Python {machine['python']}, torch {machine['torch']}, coremltools {machine['coremltools']},"
    yield f"numpy {machine['numpy']}; {what}: {packages}"
    yield ""
    yield "| variation | what is different | bytes | control |"
    yield "| --- | --- | --- | --- |"
    for entry in table["variations"]:
        result, control = entry["result"].replace("_", " "), entry["control"].replace("_", " ")
        by = f" (`{entry['by']}`)" if entry["by"] else ""
        yield f"| {entry['name']} | {entry['what']}{by} | {result} | {control} |"
    yield ""
    yield f"{table['summary']}."


def _git(*arguments: str) -> str:
    """What git says of the checkout; empty where there is no git or no checkout."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607 # The one that is on PATH, as in every recipe.
            cwd=Path(__file__).parent,
            capture_output=True,
            check=False,
            text=True,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
