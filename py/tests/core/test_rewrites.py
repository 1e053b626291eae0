import math

import mpmath
import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs
from demucs.transformer import LayerScale, create_2d_sin_embedding, create_sin_embedding
from torch import Tensor, nn

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.core.embeddings import axis_embedding, time_embedding
from htdemucs_coreml.core.inner import InnerHTDemucs, ModelExtractionError, extract_inner_model
from htdemucs_coreml.core.rewrites import (
    REWRITES,
    OneDimensionalPosition,
    TwoDimensionalPosition,
    layer_scales_folded,
    rewritten,
)
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.spectrogram import spectrogram
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights
from small_model import SHORT_SEGMENT_SAMPLES, SMALL_ENTRY, SMALL_FOUR_STEM_ENTRY

FLOAT32_FLOOR_DB = 110
FLOAT64_FLOOR_DB = 250


@pytest.fixture
def core(small_network: HTDemucs) -> InnerHTDemucs:
    return extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)


def run(core: InnerHTDemucs, dtype: torch.dtype = torch.float32) -> CoreOutputs:
    mix = torch.from_numpy(synthetic_song(SHORT_SEGMENT_SAMPLES))[None].to(dtype)
    mixed = spectrogram(mix)
    outputs: CoreOutputs = core(mixed.real, mixed.imag, mix)
    return outputs


def worst_snr_db(actual: CoreOutputs, expected: CoreOutputs) -> float:
    return min(snr_db(a, b) for a, b in zip(actual, expected, strict=True))


@pytest.mark.parametrize("name", REWRITES)
def test_each_rewrite_alone_keeps_the_outputs(core: InnerHTDemucs, name: str) -> None:
    expected = run(core)
    REWRITES[name](core)
    assert worst_snr_db(run(core), expected) >= FLOAT32_FLOOR_DB


@pytest.mark.parametrize("name", REWRITES.keys() - {"positional_embeddings_as_tables"})
def test_each_rewrite_is_the_same_function_up_to_rounding(small_checkpoint: Checkpoint, name: str) -> None:
    network = build_network(SMALL_ENTRY, {key: tensor.double() for key, tensor in small_checkpoint.tensors.items()})
    core = extract_inner_model(network, SHORT_SEGMENT_SAMPLES)
    expected = run(core, torch.float64)
    REWRITES[name](core)
    core.double()
    # Folded constants are rounded to float32 once; everything else is exact to float64.
    floor = 130 if name in ("layer_scales_folded", "frequency_embedding_as_broadcast") else FLOAT64_FLOOR_DB
    assert worst_snr_db(run(core, torch.float64), expected) >= floor


def test_all_rewrites_together_keep_the_outputs(core: InnerHTDemucs) -> None:
    assert worst_snr_db(run(rewritten(core)), run(core)) >= FLOAT32_FLOOR_DB


def test_they_keep_the_outputs_where_the_transformer_has_channels_of_its_own() -> None:
    network = build_network(SMALL_FOUR_STEM_ENTRY, load_weights(SMALL_FOUR_STEM_ENTRY, None).tensors)
    core = extract_inner_model(network, SHORT_SEGMENT_SAMPLES)
    assert worst_snr_db(run(rewritten(core)), run(core)) >= FLOAT32_FLOOR_DB


def test_folding_scales_after_the_norms_before_them_were_replaced_is_an_error(core: InnerHTDemucs) -> None:
    REWRITES["group_norms_as_layer_norms"](core)
    with pytest.raises(ModelExtractionError, match="no LayerScale can be folded"):
        layer_scales_folded(core)


def test_rewriting_leaves_the_original_as_it_was(core: InnerHTDemucs) -> None:
    before = run(core)
    rewritten(core)
    assert all(torch.equal(a, b) for a, b in zip(run(core), before, strict=True))


def test_nothing_that_a_rewrite_replaces_is_left(core: InnerHTDemucs) -> None:
    kinds = {type(module) for module in rewritten(core).modules()}
    assert not any(issubclass(kind, nn.GroupNorm | nn.MultiheadAttention | LayerScale) for kind in kinds)


def test_no_parameter_of_the_result_takes_gradients(core: InnerHTDemucs) -> None:
    result = rewritten(core)
    assert not any(tensor.requires_grad for tensor in (*result.parameters(), *result.buffers()))


def test_a_layer_scale_that_cannot_be_folded_is_an_error(core: InnerHTDemucs) -> None:
    branch = core.get_submodule("time_encoder_0.dconv.layers.0")
    assert isinstance(branch, nn.Sequential)
    branch[-2] = nn.GELU()
    with pytest.raises(ModelExtractionError, match="no LayerScale can be folded"):
        layer_scales_folded(core)


STEPS = (1, 2, 3, 44, 88, 1344, 1723)
MAX_PERIOD = 10_000


def with_embedding(position: OneDimensionalPosition | TwoDimensionalPosition, shape: tuple[int, ...]) -> Tensor:
    """What is added to tokens of a shape."""
    embedding: Tensor = position(torch.zeros(shape))
    return embedding


def largest_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).abs().max())


@pytest.mark.parametrize("steps", STEPS)
def test_the_time_embedding_is_upstreams_for_any_number_of_steps(steps: int) -> None:
    actual = with_embedding(OneDimensionalPosition(time_embedding(steps, 384, MAX_PERIOD)), (1, steps, 384))
    # Upstream's own phases are float32: they are wrong by up to 2^-24 of 1723 radians.
    assert largest_error(actual[0], create_sin_embedding(steps, 384)[:, 0]) < 2e-4


@pytest.mark.parametrize(("bins", "frames", "channels"), [(1, 1, 4), (8, 336, 384), (8, 431, 384)])
def test_the_frequency_embedding_is_upstreams_to_float32_rounding(bins: int, frames: int, channels: int) -> None:
    parts = (torch.from_numpy(axis_embedding(positions, channels // 2, MAX_PERIOD)) for positions in (frames, bins))
    actual = with_embedding(TwoDimensionalPosition(*parts), (1, frames, bins, channels))
    assert largest_error(actual, create_2d_sin_embedding(channels, bins, frames).permute(0, 3, 2, 1)) < 1e-4


def test_the_frequency_embedding_is_added_as_one_table_would_be() -> None:
    frames, bins = (torch.from_numpy(axis_embedding(positions, 192, MAX_PERIOD)) for positions in (336, 8))
    table = torch.cat([frames[:, None].expand(-1, 8, -1), bins.expand(336, -1, -1)], dim=-1)
    tokens = torch.randn(1, 336, 8, 384, generator=torch.Generator().manual_seed(1))
    assert torch.equal(TwoDimensionalPosition(frames, bins)(tokens), tokens + table)


@pytest.mark.parametrize("steps", STEPS)
def test_the_time_embedding_is_cut_whatever_the_number_of_steps(steps: int) -> None:
    """Else a program would have one operation more or less for some segments."""
    factors = time_embedding(steps, 384, MAX_PERIOD)
    assert len(factors.turned) * factors.cosines.shape[1] > steps


@pytest.mark.parametrize("steps", STEPS)
def test_the_factors_of_the_time_embedding_are_small(steps: int) -> None:
    factors = time_embedding(steps, 384, MAX_PERIOD)
    assert sum(factor.size for factor in factors) <= 2 * 384 * (math.sqrt(2 * steps) + 2)


def correctly_rounded(value: mpmath.mpf) -> np.float32:
    with mpmath.workprec(24):
        return np.float32(float(+value))


def oracle_phase(position: int, exponent: mpmath.mpf) -> mpmath.mpf:
    return position * mpmath.mpf(MAX_PERIOD) ** -exponent


@pytest.mark.parametrize("steps", [1344, 1723])
def test_the_factors_of_the_time_embedding_are_correctly_rounded(steps: int) -> None:
    half = 192
    factors = time_embedding(steps, 2 * half, MAX_PERIOD)
    coarse, fine = len(factors.turned), factors.cosines.shape[1]
    with mpmath.workprec(120):
        for index in range(half):
            rate = oracle_phase(1, mpmath.mpf(index) / (half - 1))
            for number in range(0, coarse, 1 if index % 16 == 0 else 7):
                cosine, sine = map(correctly_rounded, mpmath.cos_sin(number * fine * rate))
                assert factors.turned[number, 0, :, index].tolist() == [cosine, sine]
                assert factors.turned_quarter[number, 0, :, index].tolist() == [-sine, cosine]
            for number in range(0, fine, 1 if index % 16 == 0 else 7):
                cosine, sine = map(correctly_rounded, mpmath.cos_sin(number * rate))
                assert factors.cosines[0, number, 0, index] == cosine
                assert factors.sines[0, number, 0, index] == sine


@pytest.mark.parametrize("steps", [1344, 1723])
def test_the_time_embedding_is_wrong_by_four_float32_roundings_at_most(steps: int) -> None:
    half = 192
    made = with_embedding(OneDimensionalPosition(time_embedding(steps, 2 * half, MAX_PERIOD)), (1, steps, 2 * half))[0]
    with mpmath.workprec(120):
        for index in range(half):
            rate = oracle_phase(1, mpmath.mpf(index) / (half - 1))
            # Every position at a few rates, a few positions at every rate.
            for step in range(0, steps, 1 if index % 64 == 0 else 97):
                for actual, exact in zip(made[step, index::half].tolist(), mpmath.cos_sin(step * rate), strict=True):
                    assert abs(actual - exact) <= 2**-22


@pytest.mark.parametrize("positions", [8, 336, 431])
def test_one_axis_of_the_frequency_embedding_is_correctly_rounded(positions: int) -> None:
    channels = 192
    table = axis_embedding(positions, channels, MAX_PERIOD)
    assert table.shape == (positions, channels)
    with mpmath.workprec(120):
        for index in range(0, channels, 2):
            rate = oracle_phase(1, mpmath.mpf(index) / channels)
            for position in range(0, positions, 1 if index % 64 == 0 or positions < 16 else 29):
                cosine, sine = mpmath.cos_sin(position * rate)
                assert table[position, index] == correctly_rounded(sine)
                assert table[position, index + 1] == correctly_rounded(cosine)
