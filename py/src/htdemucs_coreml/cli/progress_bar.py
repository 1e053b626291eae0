"""Progress bars on standard error."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never, Protocol

from tqdm import tqdm

from htdemucs_coreml.cli.terminal_text import printable


class BarUpdate(Protocol):
    """Called with how much is done and, where it is known, of how much."""

    def __call__(self, done: int, total: int | None, /) -> None:
        """Draw the bar anew."""
        ...


def shows_bars() -> bool:
    """Tell whether standard error is a terminal that can draw a line anew: nothing is drawn into a file or a pipe."""
    # Python has None for a stream that was closed when it started.
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def progress_bar(title: str, *, shown: bool) -> Iterator[BarUpdate]:
    """Yield the update of a bar of segments that vanishes when it is done."""
    # Segments take seconds: each is worth showing.
    with tqdm(
        desc=printable(title), unit="segment", leave=False, mininterval=0, disable=not shown, file=sys.stderr
    ) as bar:
        yield _update_of(bar)


@contextmanager
def bytes_bar(title: str, *, shown: bool) -> Iterator[BarUpdate]:
    """Yield the update of a bar of bytes that vanishes when it is done."""
    with tqdm(desc=printable(title), unit="B", unit_scale=True, leave=False, disable=not shown, file=sys.stderr) as bar:
        yield _update_of(bar)


def _update_of(bar: "tqdm[Never]") -> BarUpdate:
    def update(done: int, total: int | None, /) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return update
