"""What players play fits the song: its chords, scale, bars and form."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.composition.harmony import parse_chord, scale_pitches, shifted_in_scale, voicing
from htdemucs_coreml.songs.composition.score import compose
from htdemucs_coreml.songs.composition.timing import bars_of
from htdemucs_coreml.songs.invention import genre_names, invent
from htdemucs_coreml.songs.recipe import METERS, MODES, Recipe

songs = st.builds(invent, st.integers(0, 1 << 40), genre=st.sampled_from(genre_names()), seconds=st.floats(20, 120))


@given(songs)
@settings(deadline=None, max_examples=15)
def test_notes_lie_within_the_song_in_sections_of_their_part(recipe: Recipe) -> None:
    bars = bars_of(recipe)
    for part in recipe.parts:
        spans = [(bar.sample_at(0), bar.sample_at(bar.meter.steps)) for bar in bars if part.name in bar.section.parts]
        early = int(0.05 * SAMPLE_RATE_HZ)
        for note in compose(recipe)[part.name][:50]:
            assert 0 <= note.start < recipe.samples
            assert note.length > 0
            assert 0 < note.velocity <= 1.15
            assert any(start - early <= note.start < stop + early for start, stop in spans)


@given(songs)
@settings(deadline=None, max_examples=15)
def test_the_bass_begins_each_bar_with_the_chords_root(recipe: Recipe) -> None:
    recipe = dataclasses.replace(recipe, looseness=0.0)
    notes = compose(recipe)["bass"]
    for bar in bars_of(recipe):
        if "bass" not in bar.section.parts:
            continue
        near = 0.012 * SAMPLE_RATE_HZ
        first = [note for note in notes if abs(note.start - bar.sample_at(0)) < near]
        style = next(part.style for part in recipe.parts if part.name == "bass")
        if style != "offbeats":
            assert [note.pitch % 12 for note in first] == [bar.chord_at(0).root]


@given(songs)
@settings(deadline=None, max_examples=15)
def test_melodies_keep_to_the_scale_or_the_chord_and_to_their_register(recipe: Recipe) -> None:
    bars = bars_of(recipe)
    classes = {(recipe.key + interval) % 12 for interval in MODES[recipe.mode]}
    chords = {tone for bar in bars for _, chord in bar.chords for tone in chord.pitch_classes}
    for part in recipe.parts:
        if part.role != "melody":
            continue
        for note in compose(recipe)[part.name]:
            assert note.pitch % 12 in classes | chords
            assert abs(note.pitch - part.centre) <= 16


@given(songs)
@settings(deadline=None, max_examples=20)
def test_sections_of_one_name_have_one_text(recipe: Recipe) -> None:
    bars = bars_of(recipe)
    for part in (part for part in recipe.parts if part.role == "melody" and part.stem == "vocals"):
        texts: dict[str, set[tuple[str, ...]]] = {}
        sung = compose(recipe)[part.name]
        for first in (bar for bar in bars if bar.number == 0 and part.name in bar.section.parts):
            last = bars[bars.index(first) + first.section.bars - 1]
            start, stop = first.sample_at(-0.5), last.sample_at(last.meter.steps - 0.5)
            words = tuple(note.manner for note in sung if start <= note.start < stop)
            texts.setdefault(first.section.name, set()).add(words)
        assert all(len(heard) == 1 for heard in texts.values())


def test_nobody_sings_in_intros_solos_and_outros() -> None:
    for seed in range(30):
        recipe = invent(seed)
        singers = {part.name for part in recipe.parts if part.stem == "vocals"}
        for section in recipe.sections:
            if section.name in ("intro", "solo", "outro"):
                assert not singers & set(section.parts)


@given(st.sampled_from(["I", "ii7", "V7", "bVII", "iim7b5", "Imaj9", "IVsus4", "viidim", "I5"]), st.integers(0, 11))
@settings(deadline=None)
def test_voicings_ascend_near_their_centre_and_hold_tones_of_the_chord(text: str, key: int) -> None:
    chord = parse_chord(text, key)
    for tones in (3, 4):
        pitches = voicing(chord, 64, tones)
        assert len(pitches) == tones
        assert pitches == sorted(set(pitches))
        assert {pitch % 12 for pitch in pitches} <= set(chord.pitch_classes)
        assert abs(sum(pitches) / tones - 64) <= 7


@pytest.mark.parametrize(
    ("text", "key", "classes"),
    [
        ("I", 0, {0, 4, 7}),
        ("vi", 0, {9, 0, 4}),
        ("V7", 0, {7, 11, 2, 5}),
        ("bVII", 2, {0, 4, 7}),
        ("iim7b5", 0, {2, 5, 8, 0}),
        ("IVmaj7", 7, {0, 4, 7, 11}),
        ("i7", 9, {9, 0, 4, 7}),
    ],
)
def test_chords_by_hand(text: str, key: int, classes: set[int]) -> None:
    assert set(parse_chord(text, key).pitch_classes) == classes


def test_thirds_by_hand() -> None:
    assert [shifted_in_scale(pitch, 2, 0, "major") for pitch in (60, 62, 64)] == [64, 65, 67]
    assert scale_pitches(9, "minor", 57, 69) == [57, 59, 60, 62, 64, 65, 67, 69]


@pytest.mark.parametrize("meter", METERS)
def test_bars_follow_each_other_in_every_meter(meter: str) -> None:
    recipe = invent(3, genre="rock", seconds=30)
    sections = tuple(dataclasses.replace(section, meter=meter, tempo=100.0) for section in recipe.sections)
    changed = dataclasses.replace(recipe, sections=sections)
    bars = bars_of(changed)
    for bar, following in itertools.pairwise(bars):
        assert abs(bar.sample_at(bar.meter.steps) - following.sample_at(0)) <= 1
    steps = METERS[meter].steps
    assert abs(bars[1].start_seconds - bars[0].start_seconds - steps * 0.15) < 1e-9
    kicks = [note for note in compose(changed)["kit"] if note.manner == "kick"]
    assert len(kicks) >= len(bars) // 2


def test_swing_moves_offbeats_to_the_triplet_and_leaves_beats_where_they_are() -> None:
    recipe = dataclasses.replace(invent(3, genre="jazz", seconds=20), swing=1.0)
    section = dataclasses.replace(recipe.sections[0], meter="4/4", tempo=60.0)
    bar = bars_of(dataclasses.replace(recipe, sections=(section,)))[0]
    assert bar.sample_at(4) - bar.sample_at(0) == SAMPLE_RATE_HZ
    assert bar.sample_at(2) - bar.sample_at(0) == pytest.approx(SAMPLE_RATE_HZ * 2 / 3, abs=1)
