"""From a recipe to samples: players, room, levels, edges."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.songs.arithmetic import gain
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.composition.score import compose
from htdemucs_coreml.songs.effects import Setting, apply
from htdemucs_coreml.songs.instruments import instrument_for
from htdemucs_coreml.songs.levels import active_rms, limited
from htdemucs_coreml.songs.recipe import STEMS, Part, Recipe
from htdemucs_coreml.songs.reverberation import Reverberator
from htdemucs_coreml.songs.waves import Samples, rise, samples_in

Integers = NDArray[np.int16]

FULL_SCALE = 32767
_STEM_PEAK = 0.95
_DRUMS = "kit"


@dataclass(frozen=True)
class Song:
    """A rendered song.

    Attributes
    ----------
    stems : mapping of str to int16 [2, samples]
        What each stem is, all six of them, at 44,100 Hz; those without a part are zero.
    mix : int16 [2, samples]
        Their sum, cut where it does not fit.
    clipped_samples : int
        How many of its samples were cut; 0 unless the recipe's peak is above full scale.
    """

    stems: Mapping[str, Integers]
    mix: Integers
    clipped_samples: int


def render(recipe: Recipe) -> dict[str, Integers]:
    """Play a recipe.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    dict of str to int16 [2, samples]
        All six stems at 44,100 Hz, left and right; those without a part are zero. Their sum fits in int16 unless the
        recipe's ``peak_db`` is above 0. The same bytes on every machine.

    Raises
    ------
    SongError
        If the recipe names a chord, role, style, instrument or effect that there is not.
    """
    score = compose(recipe)
    room = Reverberator(recipe.room, Chance(recipe.seed, "room"))
    kicks = sorted(
        note.start for part in recipe.parts if part.role == _DRUMS for note in score[part.name] if note.manner == "kick"
    )
    stems = {
        stem: _stem([part for part in recipe.parts if part.stem == stem], score, recipe, room, kicks) for stem in STEMS
    }
    loudest = _peak_of_sum(stems)
    wanted = gain(recipe.mix.peak_db)
    # Stems keep within full scale each, however far their sum goes beyond.
    alone = max((float(np.abs(sound).max()) for sound in stems.values() if sound is not None), default=0.0)
    level = min(wanted / loudest, _STEM_PEAK / alone) if loudest > 0 else 0.0
    # Rounding moves each stem by half a step: three steps for six.
    level *= 1 - 4 / FULL_SCALE
    return {stem: _integers(sound, level, recipe.samples) for stem, sound in stems.items()}


def render_song(recipe: Recipe) -> Song:
    """Play a recipe and sum its stems; see `render`."""
    stems = render(recipe)
    total = np.zeros((2, recipe.samples), np.int32)
    for stem in stems.values():
        total += stem
    mix = np.clip(total, -FULL_SCALE - 1, FULL_SCALE).astype(np.int16)
    return Song(stems, mix, int(np.count_nonzero(mix != total)))


def _stem(
    parts: Sequence[Part], score: Mapping[str, list[Note]], recipe: Recipe, room: Reverberator, kicks: Sequence[int]
) -> Samples | None:
    """One stem with its reverberation, at its level; None if nothing sounds."""
    if not any(score[part.name] for part in parts):
        return None
    dry = np.zeros((2, recipe.samples), np.float32)
    sent = np.zeros_like(dry)
    for part in parts:
        played = _part(part, score[part.name], recipe, kicks)
        dry += played
        sent += played * np.float32(part.reverb)
    dry += room.reflections(sent) * np.float32(0.6)
    dry += room.tail(sent) * np.float32(0.45)
    _apply_edges(dry, recipe)
    stem = parts[0].stem
    loudness = active_rms(dry)
    if loudness == 0:
        return None
    dry *= np.float32(gain(recipe.mix.levels_db[stem]) / loudness)
    return limited(dry)


def _part(part: Part, notes: Sequence[Note], recipe: Recipe, kicks: Sequence[int]) -> Samples:
    out: Samples = np.zeros((2, recipe.samples), np.float32)
    for sound in instrument_for(part, recipe).play(notes):
        _place(out, sound.samples, sound.start, part.pan + part.width * sound.place)
    chance = Chance(recipe.seed, part.name, "effects")
    setting = Setting(60 / recipe.sections[0].tempo, part.colour, kicks, chance)
    loudness = active_rms(out) if part.effects else 1.0
    if loudness == 0:
        return out
    if part.effects:
        # Effects that depend on loudness are given the same by every part.
        out = apply(part.effects, out * np.float32(0.1 / loudness), setting)
    loudness = active_rms(out)
    return out * np.float32(gain(part.level_db) * 0.1 / loudness) if loudness else out


def _place(out: Samples, sound: Samples, start: int, pan: float) -> None:
    """Add a sound at a place between left (-1) and right (1); the loudness stays."""
    count = min(sound.shape[-1], out.shape[1] - start)
    if count <= 0:
        return
    pan = max(-1.0, min(1.0, pan))
    left, right = np.float32(math.sqrt((1 - pan) / 2)), np.float32(math.sqrt((1 + pan) / 2))
    channels = sound if sound.ndim == 2 else np.stack([sound, sound])
    out[0, start : start + count] += channels[0, :count] * left
    out[1, start : start + count] += channels[1, :count] * right


def _apply_edges(sound: Samples, recipe: Recipe) -> None:
    """Fades, and silence where the recipe asks for it."""
    mix = recipe.mix
    samples = sound.shape[1]
    fade_in, fade_out = min(samples_in(mix.fade_in), samples), min(samples_in(mix.fade_out), samples)
    begin, end = samples_in(mix.silence_before), samples - samples_in(mix.silence_after)
    sound[:, :begin] = 0
    if fade_in:
        sound[:, begin : begin + fade_in] *= rise(fade_in)[: max(0, samples - begin)]
    if fade_out:
        first = max(end - fade_out, 0)
        sound[:, first:end] *= rise(fade_out)[::-1][: max(end - first, 0)]
        sound[:, end:] = 0
    for start, stop in mix.silences:
        sound[:, samples_in(start) : samples_in(stop)] = 0


def _peak_of_sum(stems: Mapping[str, Samples | None]) -> float:
    sounding = [sound for sound in stems.values() if sound is not None]
    if not sounding:
        return 0.0
    total = sounding[0].copy()
    for sound in sounding[1:]:
        total += sound
    return float(np.abs(total).max())


def _integers(sound: Samples | None, level: float, samples: int) -> Integers:
    if sound is None:
        return np.zeros((2, samples), np.int16)
    steps: Integers = np.rint(sound * np.float32(level * FULL_SCALE)).astype(np.int16)
    return steps
