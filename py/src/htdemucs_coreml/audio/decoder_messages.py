"""What decoders print on their own is kept off the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR_DESCRIPTOR = 2


@contextmanager
def without_decoder_messages() -> Iterator[None]:
    """Discard what C libraries print on the process's standard error.

    libmpg123 (MP3, inside of libsndfile) comments on damaged files there and cannot be told not to. Nothing
    is lost: whether a file was read whole is checked and reported by `AudioFile`. The descriptor belongs to
    the process, so keep this around single calls that print nothing themselves.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(_STDERR_DESCRIPTOR)
    except OSError:
        # A process without standard error has nothing to keep clean.
        yield
        return
    try:
        discard = os.open(os.devnull, os.O_WRONLY)
        os.dup2(discard, _STDERR_DESCRIPTOR)
        os.close(discard)
        yield
    finally:
        os.dup2(kept, _STDERR_DESCRIPTOR)
        os.close(kept)
