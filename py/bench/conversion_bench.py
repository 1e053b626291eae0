"""``just bench``, conversion: seconds and peak memory of ``convert``, and beside coremltools' own way within one run.

Either side is a process of its own, from its start to its end, that converts the full-size fixture. coremltools' way is
what its documentation says: capture the model, ``coremltools.convert`` with its default passes, save.

This process imports neither PyTorch nor coremltools: a child's peak memory counts from what its parent had.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from measuring import row

TARGET_SECONDS = 12
TARGET_GIGABYTES = 1.3
_BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Run:
    """What a process took.

    Attributes
    ----------
    seconds : float
        From start to end.
    cpu_seconds : float
        Of all its threads, its own and the system's on its behalf; other processes disturb it less.
    gigabytes : float
        Peak of its resident memory, 10^9 bytes.
    """

    seconds: float
    cpu_seconds: float
    gigabytes: float


@click.command()
@click.option("--runs", default=3, show_default=True, help="Pairs.")
@click.option("--threads", type=int, help="PyTorch's threads on either side; by default what it chooses itself.")
def main(runs: int, threads: int | None) -> None:
    """Time the conversion of the fixture against plain coremltools."""
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "x.mlpackage"
        for _ in range(runs):
            ours.append(_run(["-m", "htdemucs_coreml", "convert", "--model", "fixture", "-o", str(package)], threads))
            plain.append(_run([str(Path(__file__).with_name("plain_conversion.py")), str(package)], threads))
    click.echo(f"\nconversion of the full-size fixture, {runs} pairs of processes")
    click.echo(f"  {'':<22} {'minimum':>8} {'median':>8} {'maximum':>8}")
    row(f"seconds (<= {TARGET_SECONDS})", [run.seconds for run in ours])
    row("CPU seconds", [run.cpu_seconds for run in ours])
    row(f"peak GB (<= {TARGET_GIGABYTES})", [run.gigabytes for run in ours])
    pairs = list(zip(ours, plain, strict=True))
    click.echo("  and as a ratio to plain coremltools.convert and save")
    row("seconds", [our.seconds / other.seconds for our, other in pairs])
    row("CPU seconds", [our.cpu_seconds / other.cpu_seconds for our, other in pairs])
    row("peak memory", [our.gigabytes / other.gigabytes for our, other in pairs])
    click.echo(f"  (plain: median {statistics.median(other.seconds for other in plain):.1f} s)")


def _run(arguments: list[str], threads: int | None) -> Run:
    environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise click.ClickException(f"{' '.join(arguments)} failed with {process.returncode}; see above")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _BYTES_PER_MAXRSS / 1e9)


if __name__ == "__main__":
    main()
