"""A configuration is complete, holds nothing unknown, and never trains on what models are judged on."""

import re
from pathlib import Path

import pytest

from htdemucs_coreml.models.architecture import parameter_shapes
from htdemucs_coreml.songs.corpus import FIRST_CORPUS_SEED
from training.configuration import DEFAULT_CONFIGURATION, HELD_OUT_GENRES, TrainingError, read_configuration
from training.export import entry_of
from training.judging import FIRST_HELD_OUT_SEED

NANO = DEFAULT_CONFIGURATION.read_text(encoding="utf-8")


def written(tmp_path: Path, old: str, new: str) -> Path:
    assert NANO.count(old) == 1, old
    path = tmp_path / "run.toml"
    path.write_text(NANO.replace(old, new), encoding="utf-8")
    return path


def test_nano_has_its_sources_in_the_order_of_the_published_model_and_fits_in_three_megabytes() -> None:
    nano = read_configuration(DEFAULT_CONFIGURATION)
    assert nano.sources == ("drums", "bass", "other", "vocals", "guitar", "piano")
    shapes = parameter_shapes(entry_of(nano))
    values = 0
    for shape in shapes.values():
        count = 1
        for size in shape:
            count *= size
        values += count
    assert 2 * values < 2_900_000


def test_seeds_of_training_validation_judging_and_corpus_never_meet() -> None:
    nano = read_configuration(DEFAULT_CONFIGURATION)
    trained = nano.data.first_seed + nano.data.first_songs + nano.schedule.steps // nano.data.steps_per_song
    assert trained < nano.validation.first_seed
    assert nano.validation.seeds.stop <= FIRST_HELD_OUT_SEED < FIRST_CORPUS_SEED


@pytest.mark.parametrize("genre", sorted(HELD_OUT_GENRES))
def test_a_held_out_genre_is_refused(tmp_path: Path, genre: str) -> None:
    path = written(tmp_path, '"country"]', f'"country", "{genre}"]')
    with pytest.raises(TrainingError, match=f"held out: {genre}"):
        read_configuration(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("warm_up = 200", "", "lacks warm_up"),
        ("warm_up = 200", "warm_up = 200\nwarm_down = 3", "unknown value warm_down"),
        ("warm_up = 200", "warm_up = 200.0", "another type"),
        ("warm_up = 200", "warm_up = true", "another type"),
        ("warm_up = 200", "warm_up = 0", "1 or more"),
        ('segment = "39/5"', 'segment = "39/0"', "no fraction"),
        ('"country"]', '"polka"]', "genres that there are not: polka"),
        ("first_seed = 0", "first_seed = 549755813888", "follow one another"),
        ("first_seed = 549755813888", "first_seed = 1099511627776", "follow one another"),
        ("seconds = 3.9", "seconds = 13.0", "half as long"),
        ("gain_db = [-7.0, 5.0]", "gain_db = [5.0]", "two numbers"),
        ("seed = 1\n", "seed = \n", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(NANO.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TrainingError, match=re.escape(message)):
        read_configuration(path)
