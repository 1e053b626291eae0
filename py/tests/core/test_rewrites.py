import math

import mpmath
import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs
from demucs.transformer import LayerScale, create_2d_sin_embedding, create_sin_embedding
from numpy.typing import NDArray
from torch import Tensor, nn

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.core.embeddings import frequency_embedding, time_embedding
from htdemucs_coreml.core.inner import InnerHTDemucs, ModelExtractionError, extract_inner_model
from htdemucs_coreml.core.rewrites import REWRITES, layer_scales_folded, rewritten
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


@pytest.mark.parametrize("name", REWRITES.keys() - {"positional_embeddings_as_constants"})
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


def largest_error(actual: NDArray[np.float32], expected: Tensor) -> float:
    return float(np.abs(actual - expected.numpy()).max())


@pytest.mark.parametrize(("steps", "channels"), [(1, 4), (173, 384), (1723, 384)])
def test_the_time_embedding_is_upstreams_to_float32_rounding(steps: int, channels: int) -> None:
    upstream = create_sin_embedding(steps, channels)[:, 0]
    assert largest_error(time_embedding(steps, channels, 10_000), upstream) < 2e-4


@pytest.mark.parametrize(("bins", "frames", "channels"), [(1, 1, 4), (8, 336, 384), (8, 431, 384)])
def test_the_frequency_embedding_is_upstreams_to_float32_rounding(bins: int, frames: int, channels: int) -> None:
    upstream = create_2d_sin_embedding(channels, bins, frames)[0].permute(2, 1, 0)
    assert largest_error(frequency_embedding(bins, frames, channels, 10_000), upstream) < 1e-4


def correctly_rounded(value: mpmath.mpf) -> np.float32:
    with mpmath.workprec(24):
        return np.float32(float(+value))


def oracle_phase(position: int, exponent: mpmath.mpf) -> mpmath.mpf:
    return position * mpmath.mpf(10_000) ** -exponent


@pytest.mark.parametrize("steps", [1344, 1723])
def test_the_time_embedding_is_correctly_rounded_at_sampled_positions(steps: int) -> None:
    channels = 384
    half = channels // 2
    table = time_embedding(steps, channels, 10_000)
    with mpmath.workprec(120):
        for index in range(half):
            rate = oracle_phase(1, mpmath.mpf(index) / (half - 1))
            # Every position at a few rates, a few positions at every rate.
            for step in range(0, steps, 1 if index % 64 == 0 else 97):
                cosine, sine = mpmath.cos_sin(step * rate)
                assert table[step, index] == correctly_rounded(cosine)
                assert table[step, half + index] == correctly_rounded(sine)


@pytest.mark.parametrize("frames", [336, 431])
def test_the_frequency_embedding_is_correctly_rounded_at_sampled_positions(frames: int) -> None:
    bins, channels = 8, 384
    half = channels // 2
    table = frequency_embedding(bins, frames, channels, 10_000)
    with mpmath.workprec(120):
        for index in range(0, half, 2):
            rate = oracle_phase(1, mpmath.mpf(index) / half)
            for frame in range(0, frames, 1 if index % 64 == 0 else 29):
                cosine, sine = mpmath.cos_sin(frame * rate)
                assert (table[frame, :, index] == correctly_rounded(sine)).all()
                assert (table[frame, :, index + 1] == correctly_rounded(cosine)).all()
            for position in range(bins):
                cosine, sine = mpmath.cos_sin(position * rate)
                assert (table[:, position, half + index] == correctly_rounded(sine)).all()
                assert (table[:, position, half + index + 1] == correctly_rounded(cosine)).all()
    assert math.prod(table.shape) == frames * bins * channels
