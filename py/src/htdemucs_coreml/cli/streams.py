"""Standard input, output and error that are there."""

import os


def open_missing_streams() -> None:
    """Open those of the three standard descriptors that are closed on nothing.

    Otherwise the next file to be opened, such as a stem, has the number of one, and what any library prints there goes
    into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free is given.
            os.open(os.devnull, os.O_RDWR)
