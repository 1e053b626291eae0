"""Scores know their scale, and whatever cannot be scored passes no gate."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from htdemucs_coreml.metrics import MetricError, leakage_db, si_sdr_db, snr_db, stem_snr_db

SCORES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "snr_db": snr_db,
    "si_sdr_db": si_sdr_db,
    "stem_snr_db": lambda estimate, reference: stem_snr_db(estimate, reference, reference),
}
every_score = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(level_db=st.floats(-120, 20), seed=st.integers(0, 1000))
def test_snr_is_the_level_of_the_reference_over_that_of_the_error(level_db: float, seed: int) -> None:
    reference = noise(2, 500, seed=seed)
    error = noise(2, 500, seed=seed + 1)
    error *= 10 ** (level_db / 20) * reference.norm() / error.norm()
    assert snr_db(reference + error, reference) == pytest.approx(-level_db, abs=1e-3)


def test_snr_by_hand() -> None:
    assert snr_db(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == pytest.approx(20.0)


@given(gain=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_si_sdr_does_not_hear_gain_and_snr_does(gain: float, seed: int) -> None:
    reference = noise(2, 500, seed=seed)
    estimate = reference + 0.1 * noise(2, 500, seed=seed + 1)
    assert si_sdr_db(gain * estimate, reference) == pytest.approx(si_sdr_db(estimate, reference), abs=1e-6)
    assert snr_db(2 * reference, reference) == pytest.approx(0.0)


def test_si_sdr_of_an_orthogonal_error_is_its_level() -> None:
    assert si_sdr_db(torch.tensor([1.0, 0.1]), torch.tensor([1.0, 0.0])) == pytest.approx(20.0)


@every_score
def test_equal_signals_score_infinitely(score: Callable[[Tensor, Tensor], float]) -> None:
    assert score(noise(2, 100), noise(2, 100)) == math.inf


@every_score
def test_silence_for_silence_is_perfect(score: Callable[[Tensor, Tensor], float]) -> None:
    assert score(torch.zeros(2, 9), torch.zeros(2, 9)) == math.inf


@every_score
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("damaged", ["estimate", "reference", "both"])
def test_a_gate_refuses_what_is_not_finite(score: Callable[[Tensor, Tensor], float], bad: float, damaged: str) -> None:
    estimate, reference = noise(2, 100), noise(2, 100)
    if damaged != "reference":
        estimate[1, 50] = bad
    if damaged != "estimate":
        reference[1, 50] = bad
    assert not score(estimate, reference) >= -300.0
    assert score(estimate, reference) == -math.inf


@every_score
def test_a_gate_refuses_a_spike_a_shift_swapped_channels_and_silence(
    score: Callable[[Tensor, Tensor], float],
) -> None:
    reference = noise(2, 1000)
    spike = reference.clone()
    spike[0, 500] = 1e6
    for estimate in (spike, reference.roll(1, dims=-1), reference.flip(0), torch.zeros(2, 1000)):
        assert not score(estimate, reference) >= 60.0


@every_score
@pytest.mark.parametrize(
    ("estimate", "reference"),
    [(torch.ones(2, 3), torch.ones(2, 4)), (torch.ones(3), torch.ones(1, 3)), (torch.ones(0), torch.ones(0))],
)
def test_signals_that_cannot_be_compared_are_refused(
    score: Callable[[Tensor, Tensor], float], estimate: Tensor, reference: Tensor
) -> None:
    with pytest.raises(MetricError, match="cannot be compared"):
        score(estimate, reference)


def test_a_stem_30_db_below_the_mix_is_scored_against_the_mix() -> None:
    mix = noise(2, 1000)
    error = 1e-4 * noise(2, 1000, seed=2)
    faint = 1e-3 * noise(2, 1000, seed=1)  # -60 dB: itself 30 dB below what counts
    assert stem_snr_db(faint + error, faint, mix) == pytest.approx(snr_db(faint + error, faint) + 30, abs=0.5)
    loud = 0.1 * noise(2, 1000, seed=1)
    assert stem_snr_db(loud + error, loud, mix) == snr_db(loud + error, loud)


def test_a_stem_that_should_be_silent_is_scored_by_leakage() -> None:
    mix = noise(2, 1000)
    leaked = 1e-4 * mix
    assert leakage_db(leaked, mix) == pytest.approx(-80)
    assert stem_snr_db(leaked, torch.zeros_like(mix), mix) == pytest.approx(80 - 30)


def test_leakage_of_silence_passes_any_ceiling_and_of_nan_none() -> None:
    mix = noise(2, 10)
    assert leakage_db(torch.zeros(2, 10), mix) == -math.inf
    assert leakage_db(mix, torch.zeros(2, 10)) == math.inf
    assert not leakage_db(torch.full((2, 10), math.nan), mix) <= 1000.0


def test_float32_signals_are_scored_in_float64() -> None:
    reference = torch.full((1000,), 1e-30)
    assert snr_db(reference * 1.1, reference) == pytest.approx(20, abs=1e-3)
