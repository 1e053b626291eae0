"""Signals that end the tool are exceptions, so that whatever is partial is removed on the way out."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """A signal asked the process to end. Not an `Exception`: nothing but cleaning up should stop it.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        # What became of partial outputs; whoever keeps some says so here.
        self.aftermath = "nothing partial was left behind"
        self.exit_code = 128 + number


@contextmanager
def termination_raised() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGINT, SIGTERM and SIGHUP, but for those that are ignored.

    After the first, further ones are ignored, so that nobody's second Ctrl-C leaves half of a clean-up.
    """

    def terminate(number: int, frame: FrameType | None) -> None:
        del frame
        for each in previous:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    previous = {each: signal.getsignal(each) for each in _SIGNALS}
    previous = {each: handler for each, handler in previous.items() if handler != signal.SIG_IGN}
    for each in previous:
        signal.signal(each, terminate)
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


def exit_code_of(work: Callable[[], int]) -> int:
    """Return what `work` returns or, where a signal ends it, tell so in one line and return 128 + its number."""
    try:
        with termination_raised():
            return work()
    except Terminated as termination:
        if sys.stderr is not None:
            sys.stderr.write(f"error: {termination}; {termination.aftermath}\n")
        return termination.exit_code
