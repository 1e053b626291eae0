"""Levels at which sounds are compared: the louder of two is easily taken for the better."""

import math

import numpy as np

from htdemucs_coreml.listening.description import Samples, Song

FARTHEST_DB = 6.0
"""Sounds that are farther apart are different ones, not one sound at two levels: matching them would hide it."""


def matching_gain_db(result: Samples, reference: Samples) -> float | None:
    """Gain in dB that gives a result the reference's energy; None if one is silent or they are more than 6 dB apart."""
    judged, truth = (float(np.square(each, dtype=np.float64).sum()) for each in (result, reference))
    if judged == 0.0 or truth == 0.0:
        return None
    gain_db = 10 * math.log10(truth / judged)
    return gain_db if abs(gain_db) <= FARTHEST_DB else None


def matched(result: Samples, reference: Samples) -> Samples:
    """The result at the reference's level, or as it is where they cannot be matched."""
    gain_db = matching_gain_db(result, reference)
    return result if gain_db is None else (result * 10 ** (gain_db / 20)).astype(np.float32)


def headroom(song: Song) -> float:
    """Factor, at most 1, that keeps every sound of a song's page from clipping."""
    sounds = [song.mix]
    for stem in song.stems:
        sounds += [stem.reference, *(matched(result, stem.reference) for result in stem.results.values())]
    peak = max(float(np.abs(sound).max()) for sound in sounds)
    return min(1.0, 1.0 / peak) if peak > 0.0 else 1.0
