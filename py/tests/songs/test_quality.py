"""Scores of stems agree with the public implementation, and tables hold what was scored."""

import csv
import io
import json
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from htdemucs_coreml.metrics import MetricError, si_sdr_db, snr_db
from htdemucs_coreml.songs.quality import (
    FRAME_SAMPLES,
    SongScore,
    global_sdr_db,
    museval_sdr_db,
    over_songs,
    score_song,
)
from htdemucs_coreml.songs.quality_tables import csv_text, json_text, table

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mir_eval.separation


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.1


def stems(seconds: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """True stems [2, 2, n] whose loudness changes, and estimates in which they leak into each other."""
    samples = int(seconds * FRAME_SAMPLES)
    swell = torch.linspace(0.1, 1, samples, dtype=torch.float64)
    references = noise(2, 2, samples, seed=seed) * torch.stack([swell, swell.flip(0)])[:, None]
    estimates = 0.9 * references + 0.2 * references.flip(0) + 0.02 * noise(2, 2, samples, seed=seed + 1)
    return estimates, references


def mir_eval_sdr(estimates: Tensor, references: Tensor) -> NDArray[np.float64]:
    """BSSEval for images, frame by frame, whose filters are fitted to each frame; [stems, frames]."""
    truth, judged = (signal.transpose(1, 2).numpy() for signal in (references, estimates))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        framewise = mir_eval.separation.bss_eval_images_framewise
        sdr: NDArray[np.float64] = framewise(truth, judged, window=FRAME_SAMPLES, hop=FRAME_SAMPLES)[0]
    return sdr


def test_the_sdr_is_the_public_implementations_median_over_frames() -> None:
    estimates, references = stems(3.4)
    expected = np.nanmedian(mir_eval_sdr(estimates, references), axis=1)
    assert museval_sdr_db(estimates, references) == pytest.approx(expected.tolist(), abs=1e-6)


def test_frames_in_which_any_stem_is_silent_count_for_none_as_in_the_public_implementation() -> None:
    estimates, references = stems(3.0)
    references[1, :, :FRAME_SAMPLES] = 0
    estimates[0, :, -FRAME_SAMPLES:] = 0
    framewise = mir_eval_sdr(estimates, references)
    assert np.isnan(framewise[:, [0, 2]]).all()
    assert museval_sdr_db(estimates, references) == pytest.approx(framewise[:, 1].tolist(), abs=1e-6)
    estimates[0] = 0
    assert museval_sdr_db(estimates, references) == [None, None]


@given(level_db=st.floats(-60, 20), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_the_global_sdr_is_the_level_over_the_errors_and_finite_for_silence(level_db: float, seed: int) -> None:
    reference, error = noise(2, 5000, seed=seed), noise(2, 5000, seed=seed + 1)
    error *= 10 ** (level_db / 20) * reference.norm() / error.norm()
    assert global_sdr_db(reference + error, reference) == pytest.approx(-level_db, abs=1e-2)
    assert global_sdr_db(reference * 0, reference * 0) == 0
    assert global_sdr_db(reference * math.nan, reference) == -math.inf


def song_of(seed: int) -> SongScore:
    estimates, references = stems(2.0, seed)
    names = ("drums", "bass")
    return score_song(
        f"song-{seed}", dict(zip(names, estimates, strict=True)), dict(zip(names, references, strict=True))
    )


def test_a_songs_scores_are_those_of_its_stems() -> None:
    estimates, references = stems(2.0, 5)
    score = song_of(5).stems["bass"]
    assert score.snr_db == snr_db(estimates[1], references[1])
    assert score.si_sdr_db == si_sdr_db(estimates[1], references[1])
    assert score.sdr_db == museval_sdr_db(estimates, references)[1]
    assert score.maximum_error == float((estimates[1] - references[1]).abs().max())
    assert score.leakage_db is None


def test_a_stem_that_should_be_silent_is_scored_by_its_leakage() -> None:
    truth = {"drums": noise(2, 50_000, seed=1), "piano": torch.zeros(2, 50_000, dtype=torch.float64)}
    score = score_song("x", {"drums": truth["drums"], "piano": truth["drums"] * 0.01}, truth).stems["piano"]
    assert score.leakage_db == pytest.approx(-40)
    assert (score.snr_db, score.si_sdr_db, score.sdr_db) == (None, None, None)


def test_what_is_not_finite_passes_no_gate() -> None:
    truth = {"drums": noise(2, 50_000, seed=1)}
    score = score_song("x", {"drums": truth["drums"] * math.nan}, truth).stems["drums"]
    assert score.snr_db == score.si_sdr_db == score.sdr_db == score.global_sdr_db == -math.inf
    assert score.maximum_error == math.inf


@pytest.mark.parametrize(
    ("estimates", "references"),
    [
        ({"drums": torch.zeros(2, 9)}, {"bass": torch.zeros(2, 9)}),
        ({"drums": torch.zeros(2, 9)}, {"drums": torch.zeros(2, 8)}),
        ({}, {}),
    ],
)
def test_stems_that_do_not_belong_together_are_refused(
    estimates: dict[str, Tensor], references: dict[str, Tensor]
) -> None:
    with pytest.raises(MetricError, match="x: stems"):
        score_song("x", estimates, references)


def test_totals_are_medians_but_the_challenges_mean_and_the_worst_error() -> None:
    scores = [song_of(seed) for seed in (0, 10, 20)]
    total = over_songs(scores)
    bass = [score.stems["bass"] for score in scores]
    assert total["bass"].snr_db == sorted(score.snr_db or 0 for score in bass)[1]
    assert total["bass"].global_sdr_db == pytest.approx(sum(score.global_sdr_db for score in bass) / 3)
    assert total["bass"].maximum_error == max(score.maximum_error for score in bass)
    assert total["all"].maximum_error == max(total["bass"].maximum_error, total["drums"].maximum_error)
    assert over_songs([]) == {}


def test_tables_hold_every_figure() -> None:
    silent = torch.zeros(2, 50_000)
    scores = [
        song_of(0),
        score_song("exact", {"drums": silent, "bass": silent + 1}, {"drums": silent, "bass": silent + 1}),
    ]
    rows = list(csv.DictReader(io.StringIO(csv_text(scores))))
    assert [(row["song"], row["stem"]) for row in rows] == [
        ("song-0", "drums"),
        ("song-0", "bass"),
        ("exact", "drums"),
        ("exact", "bass"),
        ("total", "drums"),
        ("total", "bass"),
        ("total", "all"),
    ]
    assert float(rows[0]["snr_db"]) == scores[0].stems["drums"].snr_db
    assert rows[2]["snr_db"] == ""
    content = json.loads(json_text(scores))
    assert content["songs"]["song-0"]["bass"]["sdr_db"] == scores[0].stems["bass"].sdr_db
    assert content["songs"]["exact"]["bass"]["snr_db"] == "inf"
    assert content["songs"]["exact"]["drums"]["snr_db"] is None
    assert set(content["total"]) == {"drums", "bass", "all"}
    lines = table(scores).splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[2].startswith(f"| song-0 | drums | {scores[0].stems['drums'].snr_db:.1f} |")
    assert "—" in lines[4]
