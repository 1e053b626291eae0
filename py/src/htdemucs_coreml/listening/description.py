"""What a page is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.songs.quality import SongScore

Samples = NDArray[np.float32]
"""Sound [2, samples], full scale 1."""


@dataclass(frozen=True)
class Stem:
    """A stem's excerpt: the reference, and what each result has in its place, by the result's name."""

    name: str
    reference: Samples
    results: Mapping[str, Samples]


@dataclass(frozen=True)
class Song:
    """A song's excerpt.

    Attributes
    ----------
    name : str
        Of the song.
    seconds : float
        Length of the whole song.
    start_seconds : float
        Where the excerpt begins.
    mix : ndarray [2, samples], float32
        As long as each stem's sounds.
    stems : tuple of Stem
        In the order of the page; all with the same results.
    """

    name: str
    seconds: float
    start_seconds: float
    mix: Samples
    stems: tuple[Stem, ...]


@dataclass(frozen=True)
class Report:
    """All of a page.

    Attributes
    ----------
    title : str
        The heading.
    notes : tuple of str
        Paragraphs under it.
    sample_rate_hz : int
        Of all sounds.
    songs : tuple of Song
        At least one.
    scores : mapping of str to tuple of SongScore
        By the result's name, of whole songs; names of songs and stems are those of `songs`.
    """

    title: str
    notes: tuple[str, ...]
    sample_rate_hz: int
    songs: tuple[Song, ...]
    scores: Mapping[str, tuple[SongScore, ...]]

    @property
    def results(self) -> tuple[str, ...]:
        """Names of results, in the order of the page."""
        return tuple(self.scores)
