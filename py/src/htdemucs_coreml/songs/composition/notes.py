"""Notes, as players are given them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One note, one stroke of a drum, or one sung syllable.

    Attributes
    ----------
    start, length : int
        In samples at 44,100 Hz; the length is how long it is held.
    pitch : int
        MIDI pitch; of no meaning for drums.
    velocity : float
        How hard, above 0, about 1 at most.
    manner : str
        What is struck (``kick``, ``snare``, …), how it is played (``muted``), or which syllable is sung (``ta``); empty
        for nothing special.
    """

    start: int
    length: int
    pitch: int
    velocity: float
    manner: str = ""
