"""Which part of a song is worth hearing."""

from collections.abc import Iterable

import numpy as np

from htdemucs_coreml.listening.description import Samples


def telling_start(stems: Iterable[Samples], samples: int, step: int) -> int:
    """Where, of a song's windows, the quietest stem is loudest.

    Each stem's energy counts relative to its own loudest window, so that a stem that is soft throughout is not left
    out; a stem that is silent throughout counts for nothing.

    Parameters
    ----------
    stems : iterable of ndarray [2, n], float32
        Of one length.
    samples : int
        Length of the window, at most `n`.
    step : int
        Windows begin at multiples of it.

    Returns
    -------
    int
        First sample of the window; the first of several that are equal.
    """
    least = np.ones(1)
    for stem in stems:
        starts = np.arange(0, stem.shape[1] - samples + 1, step)
        running = np.concatenate([[0.0], np.cumsum(np.square(stem, dtype=np.float64).sum(axis=0))])
        energies = running[starts + samples] - running[starts]
        if energies.max() > 0.0:
            least = np.minimum(least, energies / energies.max())
    return int(np.argmax(least)) * step
