"""The sound of a room: first reflections, and a network of delays that feed each other.

The network is that of Jot and Chaigne, "Digital delay networks for designing artificial reverberators", AES 90,
1991, with a Householder matrix. It runs at half the sample rate, as many samples at a time as its
shortest delay allows.
"""

import numpy as np

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.arithmetic import power_of_two
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.recipe import Room
from htdemucs_coreml.songs.waves import Samples, band_taps, filtered, samples_in

_LINES = 8
_HALVINGS_IN_60_DB = 9.965784
_DELAYS = (743, 811, 907, 991, 1103, 1213, 1327, 1459)
_REFLECTIONS = 6
_SILENT = np.float32(2.0**-24)
_SENT_TAPS = 10


class Reverberator:
    """One room, for one recipe; every stem is in the same.

    Parameters
    ----------
    room : Room
        From the recipe.
    chance : Chance
        What makes this room another than the next.
    """

    def __init__(self, room: Room, chance: Chance) -> None:
        size = 0.75 + 0.9 * room.size
        self._delays = [int(delay * size * chance.between(0.96, 1.04)) for delay in _DELAYS]
        half_rate = SAMPLE_RATE_HZ / 2
        self._losses = np.array(
            [[power_of_two(-_HALVINGS_IN_60_DB * delay / (half_rate * room.seconds))] for delay in self._delays],
            np.float32,
        )
        self._damping = np.float32(0.55 - 0.45 * room.brightness)
        self._reflections = [
            [
                (samples_in((0.004 + 0.035 * room.size) * chance.between(0.2, 1.0)), chance.between(-0.5, 0.5))
                for _ in range(_REFLECTIONS)
            ]
            for _ in range(2)
        ]
        self._scatter = [
            [
                (1 + chance.below(int(500 * size)), chance.pick((-1.0, 1.0)) * chance.between(0.3, 0.8))
                for _ in range(_SENT_TAPS)
            ]
            for _ in range(2)
        ]
        self._signs = [chance.pick((-1.0, 1.0)) for _ in range(_LINES)]

    def reflections(self, sound: Samples) -> Samples:
        """First reflections of what is sent to the room, [2, n] to [2, n]."""
        out = np.zeros_like(sound)
        for side, taps in enumerate(self._reflections):
            for number, (delay, level) in enumerate(taps):
                source = sound[side if number % 2 == 0 else 1 - side]
                out[side, delay:] += source[: -delay or None][: out.shape[1] - delay] * np.float32(level)
        return out

    def tail(self, sound: Samples) -> Samples:
        """Reverberation of what is sent to the room, [2, n] to [2, n]."""
        half = self._scattered(_halved(sound))
        samples = half.shape[1]
        block = min(self._delays)
        longest = max(self._delays)
        lines = np.zeros((_LINES, longest + block), np.float32)
        out = np.zeros((2, samples + block), np.float32)
        last: Samples = np.zeros((_LINES, 1), np.float32)
        arriving = np.empty((_LINES, block + 1), np.float32)
        gains = np.array(self._signs, np.float32)[:, None]
        is_silent = True
        for start in range(0, samples, block):
            entering = half[:, start : start + block]
            count = entering.shape[1]
            if is_silent and not entering.any():
                continue
            arriving[:, :1] = last
            for number, delay in enumerate(self._delays):
                first = longest + block - delay
                arriving[number, 1:] = lines[number, first : first + block]
            last = arriving[:, -1:].copy()
            # The walls take more of what is high: a mean with the sample before.
            heard = arriving[:, 1:] + (arriving[:, :-1] - arriving[:, 1:]) * self._damping
            heard *= self._losses
            four = heard[:4] + heard[4:]
            two = four[:2] + four[2:]
            mean = (two[0] + two[1]) * np.float32(2 / _LINES)
            signed = heard * gains
            sides = signed[:4] + signed[4:]
            out[0, start : start + block] = sides[0] + sides[2]
            out[1, start : start + block] = sides[1] + sides[3]
            lines[:, :longest] = lines[:, block:].copy()
            np.subtract(heard, mean, out=lines[:, longest:])
            lines[0::2, longest : longest + count] += entering[0]
            lines[1::2, longest : longest + count] += entering[1]
            is_silent = not bool((np.abs(lines) > _SILENT).any())
            if is_silent:
                lines[:] = 0
                last[:] = 0
        return _doubled(out[:, :samples], sound.shape[1])

    def _scattered(self, half: Samples) -> Samples:
        """Each impulse becomes several, so that the tail is dense from the start."""
        out = half * np.float32(0.5)
        for side, taps in enumerate(self._scatter):
            for delay, level in taps:
                if delay < half.shape[1]:
                    out[side, delay:] += half[side, :-delay] * np.float32(level * 0.4)
        return out


def _halved(sound: Samples) -> Samples:
    """At half the rate, after a low-pass."""
    padded = np.pad(sound, ((0, 0), (0, sound.shape[1] % 2)))
    taps = band_taps(0.0, 8500.0, 11)
    # Only every other sample is kept: those of even and odd number are filtered apart, the odd ones from one before.
    odd = np.zeros_like(padded[:, 1::2])
    odd[:, 1:] = padded[:, 1:-1:2]
    return filtered(np.ascontiguousarray(padded[:, ::2]), taps[::2]) + filtered(odd, taps[1::2])


def _doubled(half: Samples, samples: int) -> Samples:
    """At twice the rate, with means between samples."""
    out = np.empty((2, 2 * half.shape[1]), np.float32)
    out[:, ::2] = half
    out[:, 1:-1:2] = (half[:, :-1] + half[:, 1:]) * np.float32(0.5)
    out[:, -1] = half[:, -1] * np.float32(0.5)
    return out[:, :samples]
