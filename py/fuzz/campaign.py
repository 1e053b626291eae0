"""Runs targets, each in a process of its own, and says what came of it."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from fuzz import CORPUS, scratch
from fuzz.target import Target

_MEGABYTES = 512
_SECONDS_PER_INPUT = 60
_PROGRESS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_SOURCES = Path(__file__).parents[1]


@dataclass(frozen=True)
class Outcome:
    """What came of one target.

    Attributes
    ----------
    target : str
        Its name.
    executions : int
        Inputs that were run.
    coverage, features : int
        Branches of the instrumented code that were reached, and libFuzzer's features, which count how often, too.
    seconds : float
        Wall time.
    findings : tuple of Path
        Inputs that failed.
    log : Path
        Everything that the process printed.
    ended : bool
        Whether the process ended as it should, or else gave a finding.
    """

    target: str
    executions: int
    coverage: int
    features: int
    seconds: float
    findings: tuple[Path, ...]
    log: Path
    ended: bool

    @property
    def succeeded(self) -> bool:
        """Whether all was run and nothing failed."""
        return self.ended and not self.findings


def shares(targets: Sequence[Target], executions: int) -> dict[str, int]:
    """Executions of each target by its weight, together at least `executions`."""
    total = sum(target.weight for target in targets)
    return {target.name: -(-executions * target.weight // total) for target in targets}


def run(targets: Sequence[Target], executions: int, processes: int, state: Path) -> Iterator[Outcome]:
    """Run targets and yield outcomes as they come.

    Parameters
    ----------
    targets : sequence of Target
        What to run; those with the most executions begin.
    executions : int
        Of all together.
    processes : int
        How many targets run at a time.
    state : Path
        Folder for what is kept between runs: inputs that reached something new, findings, logs.
    """
    share = shares(targets, executions)
    with ThreadPoolExecutor(processes) as pool:
        by_share = sorted(targets, key=lambda target: share[target.name], reverse=True)
        futures = [pool.submit(_run, target.name, share[target.name], state) for target in by_share]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _run(name: str, executions: int, state: Path) -> Outcome:
    kept, findings, log = state / "corpus" / name, state / "findings" / name, state / "logs" / f"{name}.txt"
    for folder in (kept, findings, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    arguments = [
        f"-runs={executions}",
        f"-timeout={_SECONDS_PER_INPUT}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
        *map(str, (kept, CORPUS / name)),
    ]
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="htdemucs-fuzz.", dir=scratch.parent()) as memory,
        log.open("wb") as output,
    ):
        status = subprocess.run(  # noqa: S603 - this module's own worker
            [sys.executable, "-m", "fuzz.worker", name, str(_MEGABYTES), *arguments],
            cwd=_SOURCES,
            env={**os.environ, scratch.VARIABLE: memory},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    seconds = time.monotonic() - start
    text = log.read_text(encoding="utf-8", errors="replace")
    executed, coverage, features = figures(text)
    found = tuple(sorted(set(findings.iterdir()) - before))
    return Outcome(
        name, executed, coverage, features, seconds, found, log, ended=status == 0 and executed >= executions
    )


def figures(log: str) -> tuple[int, int, int]:
    """Executions, coverage and features that libFuzzer printed last."""
    progress = _PROGRESS.findall(log)
    executed = _EXECUTED.findall(log)
    count, coverage, features = map(int, progress[-1]) if progress else (0, 0, 0)
    return int(executed[-1]) if executed else count, coverage, features


def reproducing(outcome: Outcome, finding: Path) -> str:
    """The command that runs a finding again."""
    return shlex.join(["just", "fuzz-py-input", outcome.target, str(finding)])
