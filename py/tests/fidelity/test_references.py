import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.core.rewrites import positional_embeddings_as_tables
from htdemucs_coreml.fidelity.references import TRUTH_SI_SDR_DB, Reference, float64_by_default, made_truth, references
from htdemucs_coreml.metrics import si_sdr_db
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_SEGMENT_SAMPLES


@pytest.fixture(scope="module")
def music(small_checkpoint: Checkpoint) -> Reference:
    (made,) = references(small_checkpoint, SHORT_SEGMENT_SAMPLES, ["music"], seed=2)
    return made


def stems(seed: int, level: float = 1.0) -> Tensor:
    return level * torch.randn(3, 2, 500, generator=torch.Generator().manual_seed(seed))


def random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@given(seed=st.integers(0, 1000), level=st.floats(1e-6, 1e3))
def test_every_stem_has_the_si_sdr_of_a_trained_model_against_its_truth(seed: int, level: float) -> None:
    estimates = stems(seed, level)
    for estimate, truth in zip(estimates, made_truth(estimates, random(seed)), strict=True):
        assert si_sdr_db(estimate, truth) == pytest.approx(TRUTH_SI_SDR_DB, abs=1e-6)


@pytest.mark.parametrize("snr_db", [20.0, 25.0, 30.0])
def test_an_independent_error_costs_what_its_energy_says(snr_db: float) -> None:
    estimate = torch.randn(1, 2, 200_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    truth = made_truth(estimate, random(2))
    error = torch.randn(estimate.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    error *= 10 ** (-snr_db / 20)
    noise = 10 ** (-TRUTH_SI_SDR_DB / 10)
    # Errors add up by energy; of the variant's error, the scale of the estimate takes nothing away.
    expected = -10 * math.log10(1 + 10 ** (-snr_db / 10) * (1 + noise) / noise)
    assert si_sdr_db(estimate + error, truth) - TRUTH_SI_SDR_DB == pytest.approx(expected, abs=0.01)


def test_the_truth_of_silence_is_silence() -> None:
    estimates = stems(1)
    estimates[1] = 0
    truth = made_truth(estimates, random(1))
    assert not truth[1].any()
    assert truth[0].any()


def test_what_is_expected_is_what_pytorch_gives(music: Reference, small_checkpoint: Checkpoint) -> None:
    backend = TorchBackend(small_checkpoint, SHORT_SEGMENT_SAMPLES)
    assert torch.equal(music.stems, stem_waveforms(backend.predict(**core_inputs(music.mix))))
    assert set(music.scores(music.stems)) == {math.inf}


def test_float64_is_near_float32_and_computed_in_float64(music: Reference) -> None:
    assert music.exact_stems.dtype == torch.float64
    assert all(100 < score < 160 for score in music.exact_scores(music.stems))
    assert set(music.exact_scores(music.exact_stems)) == {math.inf}


def test_the_float64_reference_has_float64_embeddings(music: Reference, small_checkpoint: Checkpoint) -> None:
    core = extract_inner_model(
        build_network(small_checkpoint.entry, small_checkpoint.tensors), SHORT_SEGMENT_SAMPLES
    ).double()
    with torch.inference_mode():
        with float64_by_default():
            inputs = core_inputs(music.mix.double())
        in_float32 = core(**inputs)
        positional_embeddings_as_tables(core)
        of_tables = core(**inputs)
        with float64_by_default():
            scores = [min(music.exact_scores(stem_waveforms(outputs))) for outputs in (in_float32, of_tables)]
    # Tables are computed in float64 and rounded once; upstream computes phases in float32, whose errors grow with time.
    assert scores[1] > scores[0] + 3
    assert torch.get_default_dtype() is torch.float32
