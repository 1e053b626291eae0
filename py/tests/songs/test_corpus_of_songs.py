"""The corpus is twelve songs of the lengths they state, which can be composed with the players that there are."""

import pytest

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.composition.score import compose
from htdemucs_coreml.songs.corpus import FIRST_CORPUS_SEED, corpus
from htdemucs_coreml.songs.instruments import instrument_for
from htdemucs_coreml.songs.recipe import STEMS, recipe_text

EDGES = {"overload", "seven-bridges"}


def test_there_are_twelve_songs_eight_of_them_for_development() -> None:
    recipes = corpus()
    assert len(recipes) == 12
    assert list(recipes) == sorted(recipes)
    assert [recipe.set for recipe in recipes.values()].count("development") == 8
    assert [recipe.set for recipe in recipes.values()].count("held-out") == 4
    assert len({recipe.seed for recipe in recipes.values()}) == 12
    assert min(recipe.seed for recipe in recipes.values()) >= FIRST_CORPUS_SEED


def test_held_out_songs_are_of_genres_that_no_other_song_has() -> None:
    genres = {
        name: {recipe.genre for recipe in corpus().values() if recipe.set == name}
        for name in ("development", "held-out")
    }
    assert not genres["development"] & genres["held-out"]


@pytest.mark.parametrize("name", sorted(set(corpus()) - EDGES))
def test_songs_last_three_to_five_minutes_and_have_all_stems(name: str) -> None:
    recipe = corpus()[name]
    assert 180 <= recipe.samples / SAMPLE_RATE_HZ <= 300
    score = compose(recipe)
    for stem in STEMS:
        assert sum(len(score[part.name]) for part in recipe.parts if part.stem == stem) >= 60


@pytest.mark.parametrize("name", corpus())
def test_recipes_are_small_and_every_player_and_note_is_there(name: str) -> None:
    recipe = corpus()[name]
    assert len(recipe_text(recipe)) < 6000
    assert all(compose(recipe)[part.name] for part in recipe.parts)
    for part in recipe.parts:
        instrument_for(part, recipe)


def test_edges_are_there() -> None:
    overload, bridges = corpus()["overload"], corpus()["seven-bridges"]
    assert overload.mix.peak_db > 0
    assert overload.mix.silences
    assert not {part.stem for part in overload.parts} >= set(STEMS)
    assert len({section.meter for section in bridges.sections}) >= 5
    assert len({section.tempo for section in bridges.sections}) >= 5
    assert bridges.mix.fade_in > 0
    assert bridges.mix.fade_out > 0
