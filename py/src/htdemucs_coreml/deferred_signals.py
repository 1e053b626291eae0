"""Signals that wait while something is done that must not be left half done, such as renaming several files."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], object]


class DeferredSignals:
    """The signals that came while they were held back; see `deferred_signals`."""

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, Handler] = {}
        self._came: list[int] = []

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Hand signals to their handlers for a while, those that came before first."""
        self.release()
        try:
            self.deliver()
            yield
        finally:
            self.hold()

    def hold(self) -> None:
        """Put off what handlers would do; what is ignored or left to the system stays so."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler) and handler != self._take:
                self._handlers[number] = handler
                signal.signal(number, self._take)

    def release(self) -> None:
        """Put the handlers back, but for those that somebody has changed meanwhile."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._take:
                signal.signal(number, handler)

    def deliver(self) -> None:
        """Call the handler of the first signal that came, if one did."""
        if self._came:
            number = signal.Signals(self._came[0])
            self._came.clear()
            self._handlers[number](number, None)

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._came.append(number)


@contextmanager
def deferred_signals() -> Iterator[DeferredSignals]:
    """Hold back SIGINT, SIGTERM and SIGHUP until the end, where they have handlers.

    A handler that raises would otherwise do so between any two steps. In another thread than the main one, in which
    handlers run, nothing is held back.

    Yields
    ------
    DeferredSignals
        Its `allowed` lets signals through for a while.
    """
    signals = DeferredSignals()
    try:
        signals.hold()
        yield signals
    finally:
        signals.release()
        signals.deliver()
