"""Standard input, output and error that are there."""

import fcntl
import os


def open_missing_streams() -> None:
    """Open those of the three standard descriptors that are closed on nothing, and output that cannot be written to.

    Otherwise the next file to be opened, such as a stem, has the number of one, and what any library prints there goes
    into it. A shell script that was started so and starts this program has given the number to itself, for reading.
    """
    for descriptor in range(3):
        try:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        except OSError:
            # The lowest number that is free is given.
            os.open(os.devnull, os.O_RDWR)
            continue
        if descriptor and flags & os.O_ACCMODE == os.O_RDONLY:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, descriptor)
            os.close(nothing)
