"""Chance that a seed decides: whole numbers of PCG64, whose stream numpy promises not to change."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray

Item = TypeVar("Item")


class Chance:
    """A stream of random values, named, so that a new draw in one place changes nothing in another.

    Parameters
    ----------
    *names : str or int
        What the stream is for, a seed among them. Equal names give equal streams.
    """

    def __init__(self, *names: str | int) -> None:
        self._names = names
        digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
        self._bits = PCG64(int.from_bytes(digest[:16], "little"))

    def fork(self, *names: str | int) -> "Chance":
        """Another stream, that depends on this one's names and not on what was drawn from it."""
        return Chance(*self._names, *names)

    def unit(self) -> float:
        """From 0 to below 1, a multiple of 2^-53."""
        return int(self._bits.random_raw() >> 11) / (1 << 53)

    def between(self, low: float, high: float) -> float:
        """From `low` to below `high`, evenly."""
        return low + (high - low) * self.unit()

    def around(self, spread: float) -> float:
        """Near zero, bell-shaped, at most twice `spread` away."""
        return spread * (self.unit() + self.unit() + self.unit() + self.unit() - 2)

    def below(self, count: int) -> int:
        """A whole number from 0 to below `count`."""
        return (int(self._bits.random_raw() >> 32) * count) >> 32

    def happens(self, probability: float) -> bool:
        """True as often as `probability` says."""
        return self.unit() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as often."""
        return items[self.below(len(items))]

    def noise(self, samples: int) -> NDArray[np.float32]:
        """White noise from -1 to 1, evenly distributed."""
        raw = np.asarray(self._bits.random_raw((samples + 1) // 2), dtype="<u8").view("<i4")[:samples]
        return raw.astype(np.float32) * np.float32(2.0**-31)
