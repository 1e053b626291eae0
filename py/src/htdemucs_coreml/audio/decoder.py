"""What a decoder of audio files gives: what a file states, and its samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from htdemucs_coreml.audio.tags import Tags


@dataclass(frozen=True)
class Statement:
    """What a file says of itself.

    Attributes
    ----------
    container : str
        Kind of file: libsndfile's name of it (``WAV``, ``FLAC``, ``MP3``, ``OGG``, …), or ``M4A``, ``AAC``, ``CAF``.
    sample_rate_hz : int
        Frames per second.
    channels : int
        Samples per frame.
    frames : int or None
        Length, or None where the file does not state it. A decoder may give more or fewer than a compressed
        file states.
    tags : Tags
        Title, artist and so on.
    """

    container: str
    sample_rate_hz: int
    channels: int
    frames: int | None
    tags: Tags


class Decoder(Protocol):
    """Reads one file, as often as needed.

    Attributes
    ----------
    statement : Statement
        Read on opening, before any memory of the stated size is taken.
    """

    @property
    def statement(self) -> Statement:
        """What the file says of itself."""
        ...

    def blocks(self, block_frames: int) -> Iterator[Tensor]:
        """Read from the start: float32 ``[channels, n]``, at most about `block_frames` at a time.

        Raises
        ------
        AudioError
            On taking a block: if the file is damaged, or is shorter than it states.
        """
        ...
