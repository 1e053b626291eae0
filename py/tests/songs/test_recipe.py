"""Recipes are read back as they were written, and malformed ones are refused with a reason."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.composition.score import compose
from htdemucs_coreml.songs.instruments import instrument_for
from htdemucs_coreml.songs.invention import genre_names, invent
from htdemucs_coreml.songs.recipe import MAXIMUM_BYTES, Recipe, SongError, parse_recipe, recipe_text

recipes = st.builds(
    invent,
    st.integers(0, (1 << 63) - 1),
    genre=st.sampled_from(genre_names()),
    seconds=st.one_of(st.none(), st.floats(4, 300)),
)


@given(recipes)
@settings(deadline=None)
def test_a_recipe_is_read_back_as_it_was_written(recipe: Recipe) -> None:
    assert parse_recipe(recipe_text(recipe), "recipe") == recipe


@given(seed=st.integers(0, 1 << 40), genre=st.sampled_from(genre_names()), seconds=st.floats(30, 300))
@settings(deadline=None)
def test_invented_songs_are_about_as_long_as_asked(seed: int, genre: str, seconds: float) -> None:
    length = invent(seed, genre=genre, seconds=seconds).samples / SAMPLE_RATE_HZ
    assert 0.5 * seconds < length < 1.6 * seconds + 5


@given(seed=st.integers(0, 1 << 40))
@settings(deadline=None)
def test_every_invented_song_can_be_composed_and_has_players_for_all_instruments(seed: int) -> None:
    recipe = invent(seed, seconds=20)
    score = compose(recipe)
    assert sum(map(len, score.values())) > 20
    for part in recipe.parts:
        instrument_for(part, recipe)


def test_seeds_differ() -> None:
    assert len({recipe_text(dataclasses.replace(invent(seed), name="x", seed=0)) for seed in range(20)}) == 20


TEXT = recipe_text(invent(1, genre="rock", seconds=20))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("seed = 1", "seed = 1\nvolume = 11", "unknown key volume"),
        ("seed = 1\n", "", "lacks `seed`"),
        ("seed = 1", 'seed = "1"', "`seed` has to be of type int"),
        ("seed = 1", "seed = -1", "`seed` has to be"),
        ('mode = "', 'mode = "x', "`mode` one of"),
        ("samples = ", "samples = 1", "correct `samples`"),
        ("[room]\n", "[room]\nhumidity = 1\n", "room has an unknown key humidity"),
        ('stem = "bass"', 'stem = "tuba"', "`stem` has to be one of"),
        ("tempo = ", "tempo = 9", "has a value out of range"),
        ('meter = "', 'meter = "9', "`meter` has to be one of"),
        ('parts = ["', 'parts = ["tuba", "', "part tuba that the recipe lacks"),
        ("peak_db = ", "peak_db = 1e9 #", "level of [mix] is out of range"),
        ("silences = []", "silences = [[2.0, 1.0]]", "has to end after it begins"),
        ("silences = []", "silences = [[2.0]]", "pairs of seconds"),
        ("seed = 1", "seed = ", "is not TOML"),
        ("drums = ", "tuba = ", "needs all stems"),
        ("[room]", "[[room]]", "`room` has to be of type dict"),
        ("bars = ", "bars = 0 #", "has a value out of range"),
        ("bars = ", "# ", "lacks one of bars"),
    ],
)
def test_a_malformed_recipe_is_refused_with_the_reason(before: str, after: str, reason: str) -> None:
    assert before in TEXT
    with pytest.raises(SongError) as raised:
        parse_recipe(TEXT.replace(before, after, 1), "mine.toml")
    assert reason in str(raised.value)
    assert "mine.toml" in str(raised.value)


def test_a_file_that_is_too_long_is_refused() -> None:
    with pytest.raises(SongError, match="longer than"):
        parse_recipe("#" * (MAXIMUM_BYTES + 1), "mine.toml")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("role", "conductor", "no role conductor"),
        ("style", "backwards", "no style backwards"),
        ("instrument", "theremin", "no instrument theremin"),
    ],
)
@pytest.mark.parametrize("part", ["kit", "bass", "singer"])
def test_what_there_is_not_is_named(part: str, field: str, value: str, reason: str) -> None:
    recipe = invent(2, genre="rock", seconds=8)
    change: dict[str, Any] = {field: value}
    changed = [dataclasses.replace(each, **change) if each.name == part else each for each in recipe.parts]
    changed_recipe = dataclasses.replace(recipe, parts=tuple(changed))
    with pytest.raises(SongError, match=reason):
        compose(changed_recipe)
        for each in changed_recipe.parts:
            instrument_for(each, changed_recipe)


def test_a_chord_that_is_none_is_named() -> None:
    recipe = invent(2, seconds=8)
    section = dataclasses.replace(recipe.sections[0], chords=("H7",))
    with pytest.raises(SongError, match="H7 is not a chord"):
        compose(dataclasses.replace(recipe, sections=(section,)))


@pytest.mark.parametrize(("genre", "seconds", "reason"), [("polka", None, "no genre polka"), (None, 1.0, "ask for 4")])
def test_an_invention_out_of_reach_is_refused(genre: str | None, seconds: float | None, reason: str) -> None:
    with pytest.raises(SongError, match=reason):
        invent(1, genre=genre, seconds=seconds)
