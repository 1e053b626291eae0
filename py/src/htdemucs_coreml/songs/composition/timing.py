"""From bars and sixteenths to samples: tempo, swing, and how players stray from both."""

from collections.abc import Sequence
from dataclasses import dataclass

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.harmony import Chord, parse_chord
from htdemucs_coreml.songs.recipe import METERS, Meter, Recipe, Section

_LOOSE_SECONDS = 0.012
_TRIPLET_SHIFT = 1 / 6


@dataclass(frozen=True)
class Bar:
    """One bar of a song.

    Attributes
    ----------
    number : int
        Within the section, from 0.
    section : Section
        Where it stands.
    occurrence : int
        How many sections of that name were before.
    chords : tuple of (int, Chord)
        From which sixteenth each sounds.
    start_seconds : float
        Where it begins.
    swing : float
        The song's.
    """

    number: int
    section: Section
    occurrence: int
    chords: tuple[tuple[int, Chord], ...]
    start_seconds: float
    swing: float

    @property
    def meter(self) -> Meter:
        """The section's."""
        return METERS[self.section.meter]

    @property
    def is_last(self) -> bool:
        """Whether another section follows."""
        return self.number == self.section.bars - 1

    def chord_at(self, step: float) -> Chord:
        """The chord that sounds at a sixteenth."""
        return next(chord for first, chord in reversed(self.chords) if first <= max(step, 0))

    def sample_at(self, step: float) -> int:
        """Where a sixteenth begins, swung."""
        if self.swing and not self.meter.is_compound:
            quarter, within = divmod(step / 4, 1.0)
            middle = 0.5 + self.swing * _TRIPLET_SHIFT
            bent = within * 2 * middle if within < 0.5 else middle + (within - 0.5) * 2 * (1 - middle)
            step = 4 * (quarter + bent)
        return int((self.start_seconds + step * self.section.seconds_per_step) * SAMPLE_RATE_HZ)

    def length_of(self, steps: float) -> int:
        """How many samples some sixteenths take, evenly."""
        return int(steps * self.section.seconds_per_step * SAMPLE_RATE_HZ)


def bars_of(recipe: Recipe) -> list[Bar]:
    """All bars in order.

    Raises
    ------
    SongError
        If a chord is none.
    """
    bars = []
    second = recipe.mix.silence_before
    occurrences: dict[str, int] = {}
    for section in recipe.sections:
        meter = METERS[section.meter]
        occurrence = occurrences.get(section.name, 0)
        occurrences[section.name] = occurrence + 1
        for number in range(section.bars):
            names = section.chords[number % len(section.chords)].split()
            chords = tuple(
                (_chord_start(meter, place, len(names)), parse_chord(name, recipe.key))
                for place, name in enumerate(names)
            )
            bars.append(Bar(number, section, occurrence, chords, second, recipe.swing))
            second += meter.steps * section.seconds_per_step
    return bars


@dataclass(frozen=True)
class Touch:
    """How a player strays: late or early as a habit, and from note to note."""

    chance: Chance
    habit_seconds: float
    spread_seconds: float
    spread_velocity: float

    def moved(self, sample: int) -> int:
        """A little earlier or later, never before the song."""
        return max(0, sample + int((self.habit_seconds + self.chance.around(self.spread_seconds)) * SAMPLE_RATE_HZ))

    def weighed(self, velocity: float) -> float:
        """A little louder or softer."""
        return min(1.15, max(0.08, velocity * (1 + self.chance.around(self.spread_velocity))))


def touch_of(recipe: Recipe, part: str) -> Touch:
    """A player's touch, as loose as the recipe says."""
    chance = Chance(recipe.seed, part, "touch")
    habit = chance.around(_LOOSE_SECONDS * recipe.looseness)
    return Touch(chance, habit, _LOOSE_SECONDS * (0.1 + recipe.looseness), 0.06 + 0.12 * recipe.looseness)


def _chord_start(meter: Meter, place: int, count: int) -> int:
    return _pulse(meter.pulses, len(meter.pulses) * place // count)


def _pulse(pulses: Sequence[int], number: int) -> int:
    return pulses[min(number, len(pulses) - 1)]
