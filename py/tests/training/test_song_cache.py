"""Songs are what the generator renders, in the model's order, and only those that a step draws from are kept."""

from pathlib import Path

import numpy as np
import pytest

from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.rendering import render
from training.configuration import TrainingError
from training.song_cache import SongCache, rendered_stems
from training_runs import SMALL_RUN, changed

DATA = changed(window=2).data
SOURCES = SMALL_RUN.sources


def test_a_step_draws_from_the_newest_songs_and_older_files_are_removed(tmp_path: Path) -> None:
    cache = SongCache(tmp_path, DATA, SOURCES)
    numbers = {step: len(cache.songs_of(step)) for step in (0, 1, 2, 3, 4)}
    last = cache.songs_of(4)
    cache.close()
    assert numbers == {0: 1, 1: 1, 2: 2, 3: 2, 4: 2}
    for seed, song in zip((1, 2), last, strict=True):
        assert np.array_equal(song, rendered_stems(seed, DATA.genres[seed], DATA.song_seconds, SOURCES))
    assert not (tmp_path / "0.npy").exists()


def test_stems_come_in_the_order_of_the_sources() -> None:
    stems = render(invent(3, genre="pop", seconds=4.0))
    expected = np.stack([stems[name] for name in ("piano", "drums")])
    assert np.array_equal(rendered_stems(3, "pop", 4.0, ("piano", "drums")), expected)


def test_a_song_that_cannot_be_rendered_ends_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cache = SongCache(tmp_path, changed(song_seconds=1.0).data, SOURCES)
    with pytest.raises(TrainingError, match="could not be rendered"):
        cache.songs_of(0)
    assert "SongError" in capfd.readouterr().err
