"""Instruments sound at the pitch they are asked for, and effects and rooms do what they are named for."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.arithmetic import frequency_hz
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.effects import EFFECTS, Setting, apply
from htdemucs_coreml.songs.instruments import (
    drum_kit,
    instrument_for,
    instrument_names,
    plucked,
    struck,
    sustained,
    voice,
)
from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.recipe import Room, SongError
from htdemucs_coreml.songs.reverberation import Reverberator

NOTE_SAMPLES = 40_000
PITCHED = [name for name in instrument_names() if name not in drum_kit.CONSTRUCTIONS]


def sound_of(instrument: str, *notes: Note) -> NDArray[np.float32]:
    recipe = invent(1, genre="rock", seconds=8)
    part = dataclasses.replace(recipe.parts[0], instrument=instrument, centre=60)
    out = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    for sound in instrument_for(part, recipe).play(notes):
        samples = sound.samples if sound.samples.ndim == 1 else sound.samples.mean(axis=0)
        kept = samples[: len(out) - sound.start]
        out[sound.start : sound.start + len(kept)] += kept
    return out


@pytest.mark.parametrize("pitch", [45, 62])
@pytest.mark.parametrize("instrument", PITCHED)
def test_a_note_has_its_pitch(instrument: str, pitch: int) -> None:
    sound = sound_of(instrument, Note(8000, NOTE_SAMPLES, pitch, 0.8, "a"))
    assert np.isfinite(sound).all()
    assert 0.02 < np.abs(sound).max() < 4
    # The middle of the note: attacks and glides are over, releases have not begun.
    steady = sound[20_000 : 20_000 + 16_384]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)), 1 << 17))
    loudest_hz = float(spectrum.argmax()) * SAMPLE_RATE_HZ / (1 << 17)
    ratio = loudest_hz / frequency_hz(pitch)
    built = struck.CONSTRUCTIONS.get(instrument)
    partials = built.ratios if built and built.ratios else range(1, 40)
    assert min(abs(ratio / partial - 1) for partial in partials) < 0.02


@pytest.mark.parametrize("instrument", PITCHED)
def test_harder_is_louder(instrument: str) -> None:
    soft, hard = (sound_of(instrument, Note(8000, NOTE_SAMPLES, 60, velocity, "a")) for velocity in (0.3, 0.9))
    assert np.square(hard, dtype=np.float64).sum() > 2 * np.square(soft, dtype=np.float64).sum()


@pytest.mark.parametrize("kit", drum_kit.CONSTRUCTIONS)
def test_every_drum_of_every_kit_sounds_and_dies_away(kit: str) -> None:
    for drum in drum_kit.DRUMS:
        sound = sound_of(kit, Note(0, 4000, 0, 0.9, drum))
        assert np.isfinite(sound).all()
        assert 0.02 < np.abs(sound).max() < 4, drum
        assert np.abs(sound[-1000:]).max() < 1e-4, drum


def test_a_hi_hat_ends_what_it_played_before() -> None:
    open_hat = Note(0, 4000, 0, 0.9, "open")
    alone = sound_of("rock-kit", open_hat)
    choked = sound_of("rock-kit", open_hat, Note(4000, 4000, 0, 0.9, "pedal"))
    late = slice(12_000, 20_000)
    assert np.square(choked[late]).sum() < 0.2 * np.square(alone[late]).sum()


def test_a_drum_that_there_is_not_is_named() -> None:
    with pytest.raises(SongError, match="no drum gong"):
        sound_of("rock-kit", Note(0, 4000, 0, 0.9, "gong"))


def test_a_muted_note_is_shorter() -> None:
    rings = sound_of("clean", Note(0, NOTE_SAMPLES, 52, 0.8))
    muted = sound_of("clean", Note(0, NOTE_SAMPLES, 52, 0.8, "muted"))
    late = slice(10_000, 20_000)
    assert np.square(muted[late]).sum() < 0.01 * np.square(rings[late]).sum()


def test_vowels_differ_and_consonants_are_noise_before_the_vowel() -> None:
    def spectrum(syllable: str) -> NDArray[np.float64]:
        sound = sound_of("tenor", Note(10_000, NOTE_SAMPLES, 50, 0.8, syllable))
        return np.abs(np.fft.rfft(sound[20_000:36_384]))

    hertz = np.fft.rfftfreq(16_384, 1 / SAMPLE_RATE_HZ)
    high = (hertz > 1700) & (hertz < 2800)
    low = (hertz > 600) & (hertz < 1400)

    def brightness(syllable: str) -> float:
        shown = spectrum(syllable)
        return float(np.square(shown[high]).sum() / np.square(shown[low]).sum())

    assert brightness("i") > 20 * brightness("a")
    before = slice(6_000, 9_500)
    plain = sound_of("tenor", Note(10_000, NOTE_SAMPLES, 50, 0.8, "a"))
    hissed = sound_of("tenor", Note(10_000, NOTE_SAMPLES, 50, 0.8, "sa"))
    assert np.square(hissed[before]).sum() > 100 * np.square(plain[before]).sum()


def noise(seconds: float) -> NDArray[np.float32]:
    samples = int(seconds * SAMPLE_RATE_HZ)
    return np.stack([Chance("left").noise(samples), Chance("right").noise(samples)]) * np.float32(0.1)


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_change_what_sounds_and_leave_silence_silent(name: str) -> None:
    setting = Setting(0.5, 0.5, (4000, 30_000), Chance("effect"))
    sound = noise(1.0)
    changed = apply([name], sound.copy(), setting)
    assert changed.shape == sound.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert not np.allclose(changed, sound)
    assert np.abs(apply([name], np.zeros_like(sound), setting)).max() < 2e-2


def test_ducking_gives_way_to_the_kick() -> None:
    setting = Setting(0.5, 1.0, (20_000,), Chance("effect"))
    ducked = np.abs(apply(["duck"], np.ones((2, 44_100), np.float32), setting))
    assert ducked[0, 20_000] < 0.25
    assert ducked[0, 10_000] == ducked[0, 40_000] == 1


def test_an_echo_comes_after_three_quarters_of_a_beat_from_the_other_side() -> None:
    click = np.zeros((2, 44_100), np.float32)
    click[0, 100] = 1
    echoed = apply(["echo"], click, Setting(0.4, 0.5, (), Chance("effect")))
    assert np.flatnonzero(echoed[1]).tolist()[0] == 100 + int(0.3 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_reverberation_is_60_db_down_after_its_time(seconds: float) -> None:
    room = Reverberator(Room(seconds=seconds, size=0.3, brightness=1.0), Chance("room"))
    burst = np.zeros((2, int(2.2 * seconds * SAMPLE_RATE_HZ) + 22_050), np.float32)
    burst[:, :2000] = noise(0.2)[:, :2000]
    tail = room.tail(burst).astype(np.float64)
    assert np.isfinite(tail).all()

    def level_db(second: float) -> float:
        start = int(second * SAMPLE_RATE_HZ)
        return 10 * float(np.log10(np.square(tail[:, start : start + 4410]).mean() + 1e-30))

    dropped = level_db(0.15) - level_db(0.15 + 0.5 * seconds)
    assert dropped == pytest.approx(30, abs=9)
    assert abs(float(np.corrcoef(tail[:, 8000:12_000])[0, 1])) < 0.6


def test_silence_has_no_reverberation() -> None:
    assert not Reverberator(Room(), Chance("room")).tail(np.zeros((2, 30_000), np.float32)).any()


def test_every_family_is_registered() -> None:
    families = (drum_kit, plucked, struck, sustained, voice)
    assert set(instrument_names()) == {name for family in families for name in family.CONSTRUCTIONS}
