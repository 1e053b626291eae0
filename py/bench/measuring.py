"""What benchmarks share: timing a call, and a row of the least, the median and the most."""

import statistics
import time
from collections.abc import Callable, Sequence

import click


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def row(title: str, values: Sequence[float]) -> None:
    """Print a title and the minimum, median and maximum of some values."""
    click.echo(f"  {title:<22} {min(values):8.2f} {statistics.median(values):8.2f} {max(values):8.2f}")
