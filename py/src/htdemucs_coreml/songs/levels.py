"""Loudness, measured in whole numbers so that no sum depends on its order, and peaks that are rounded off."""

import math

import numpy as np

from htdemucs_coreml.songs.waves import Samples

_BLOCK = 4410
_STEPS = 1 << 15
_AUDIBLE = 1e-4
_KNEE = 0.6


def active_rms(sound: Samples) -> float:
    """Root mean square over the stretches of a tenth of a second in which something sounds.

    Parameters
    ----------
    sound : float32 [2, n]
        Below 2^15.

    Returns
    -------
    float
        0 for silence. What sounds is within 40 dB of the loudest stretch.
    """
    peak = float(np.abs(sound).max(initial=0))
    if peak == 0:
        return 0.0
    scale = _STEPS / peak
    whole = sound.shape[1] // _BLOCK * _BLOCK
    kept = sound[:, :whole] if whole else sound
    steps = np.rint(kept * np.float32(scale)).astype(np.int32)
    squares = (steps * steps).reshape(2, -1, _BLOCK if whole else sound.shape[1])
    energies = squares.sum(axis=(0, 2), dtype=np.int64)
    loud = energies > energies.max() * _AUDIBLE
    count = int(np.count_nonzero(loud)) * 2 * (_BLOCK if whole else sound.shape[1])
    return math.sqrt(int(energies[loud].sum()) / count) / scale if count else 0.0


def limited(sound: Samples) -> Samples:
    """Round off peaks: what is below 0.6 stays, what is above nears 1 and never reaches it."""
    flat = sound.reshape(-1)
    loud = np.flatnonzero(np.abs(flat) > np.float32(_KNEE))
    if len(loud) == 0:
        return sound
    room = np.float32(1 - _KNEE)
    above = np.abs(flat[loud]) - np.float32(_KNEE)
    out = flat.copy()
    out[loud] = np.copysign(np.float32(_KNEE) + above * room / (above + room), flat[loud])
    return out.reshape(sound.shape)
