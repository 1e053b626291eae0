"""Rendered songs are what their recipes say: exact sums, the same bytes everywhere, silence where it is asked for."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import htdemucs_coreml
import rendered_songs
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.recipe import STEMS, Mix, Recipe
from htdemucs_coreml.songs.rendering import FULL_SCALE, Song, render, render_song

_NO_VECTORS = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR AVX2 FMA3 SSE42 SSE41 SSSE3"


def with_mix(recipe: Recipe, **changes: Any) -> Recipe:
    mix: Mix = dataclasses.replace(recipe.mix, **changes)
    return dataclasses.replace(recipe, mix=mix)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return invent(5, genre="pop", seconds=6)


@pytest.fixture(scope="module")
def song(recipe: Recipe) -> Song:
    return render_song(recipe)


def test_the_mix_is_the_sum_of_the_stems(song: Song, recipe: Recipe) -> None:
    assert tuple(song.stems) == STEMS
    assert all(stem.dtype == np.int16 and stem.shape == (2, recipe.samples) for stem in song.stems.values())
    total = sum(stem.astype(np.int64) for stem in song.stems.values())
    np.testing.assert_array_equal(song.mix, total)
    assert song.clipped_samples == 0


@pytest.mark.parametrize("peak_db", [-12.0, -1.0, 0.0])
def test_the_mix_peaks_where_the_recipe_says(recipe: Recipe, peak_db: float) -> None:
    mix = render_song(with_mix(recipe, peak_db=peak_db)).mix.astype(np.int32)
    expected = FULL_SCALE * 10 ** (peak_db / 20)
    assert 0.998 * expected - 8 <= np.abs(mix).max() <= expected


def test_a_peak_beyond_full_scale_clips_the_mix_and_no_stem(recipe: Recipe) -> None:
    song = render_song(with_mix(recipe, peak_db=3.0))
    total = sum(stem.astype(np.int64) for stem in song.stems.values())
    assert song.clipped_samples == np.count_nonzero((total > FULL_SCALE) | (total < -FULL_SCALE - 1)) > 0
    np.testing.assert_array_equal(song.mix, np.clip(total, -FULL_SCALE - 1, FULL_SCALE))
    assert all(np.abs(stem.astype(np.int32)).max() < 0.96 * FULL_SCALE for stem in song.stems.values())


def test_every_process_gives_the_same_bytes_with_other_kernels_and_threads() -> None:
    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": _NO_VECTORS,
        "OMP_NUM_THREADS": "2",
        "PYTHONHASHSEED": "8",
        "PYTHONPATH": str(Path(htdemucs_coreml.__file__).parents[1]),
    }
    command = [sys.executable, "-W", "ignore", str(rendered_songs.__file__)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(child.stdout) == rendered_songs.digests()


def test_another_seed_gives_another_song(recipe: Recipe, song: Song) -> None:
    other = render(dataclasses.replace(recipe, seed=recipe.seed + 1))
    for stem, samples in song.stems.items():
        if samples.any():
            assert not np.array_equal(samples, other[stem])


def test_stems_without_a_part_are_zero(recipe: Recipe) -> None:
    kept = [part for part in recipe.parts if part.stem in ("bass", "drums")]
    names = {part.name for part in kept}
    sections = tuple(
        dataclasses.replace(section, parts=tuple(name for name in section.parts if name in names))
        for section in recipe.sections
    )
    stems = render(dataclasses.replace(recipe, parts=tuple(kept), sections=sections))
    assert {stem for stem, samples in stems.items() if samples.any()} == {"bass", "drums"}
    nothing = render_song(dataclasses.replace(recipe, parts=(), sections=(dataclasses.replace(sections[0], parts=()),)))
    assert not nothing.mix.any()


def test_silences_are_zero_in_every_stem_and_sound_goes_on_after(recipe: Recipe) -> None:
    stems = render(with_mix(recipe, silence_before=0.5, silences=((2.0, 2.5),), fade_out=1.0, silence_after=0.25))
    rate = SAMPLE_RATE_HZ
    for samples in stems.values():
        assert not samples[:, : rate // 2].any()
        assert not samples[:, 2 * rate : 5 * rate // 2].any()
        assert not samples[:, -rate // 4 :].any()
    assert any(samples[:, 5 * rate // 2 : 3 * rate].any() for samples in stems.values())


def test_fades_rise_and_fall(recipe: Recipe, song: Song) -> None:
    # The reverberation's tail, that would sound in the silence after the song, is cut by the fade.
    faded = render_song(with_mix(recipe, fade_in=2.0, fade_out=2.0))
    quarter = SAMPLE_RATE_HZ // 4
    end = recipe.samples - int(recipe.mix.silence_after * SAMPLE_RATE_HZ)

    def level(samples: NDArray[np.int16], start: int) -> float:
        return float(np.square(samples[:, start : start + quarter].astype(np.float64)).mean())

    def falls(start: int) -> float:
        return level(faded.mix, start) / max(level(song.mix, start), 1.0)

    assert falls(0) < 0.1 * falls(3 * SAMPLE_RATE_HZ)
    assert falls(end - quarter) < 0.1 * falls(3 * SAMPLE_RATE_HZ)


def test_stems_sound_at_their_levels_while_they_sound(recipe: Recipe) -> None:
    louder = dict(recipe.mix.levels_db)
    louder["bass"] += 6.0
    before, after = render(recipe), render(with_mix(recipe, levels_db=louder))

    def ratio(stems: dict[str, NDArray[np.int16]]) -> float:
        bass, guitar = (np.square(stems[name].astype(np.float64)).sum() for name in ("bass", "drums"))
        return 10 * float(np.log10(bass / guitar))

    assert ratio(after) - ratio(before) == pytest.approx(6.0, abs=0.7)
