import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import ModelEntry, find_model
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.weights.checkpoint import canonical_sha256
from htdemucs_coreml.weights.fixture import fixture_tensors
from htdemucs_coreml.weights.source import load_weights
from small_model import SMALL_ENTRY, SMALL_FOUR_STEM_ENTRY

FIXTURE_SHA256 = "f27b0da6fec5880dd73393787a709eacd07fde5835bfe40e6dd1f163f5e9687a"


@pytest.fixture(scope="module")
def tensors() -> dict[str, NDArray[np.float16]]:
    return fixture_tensors(find_model("fixture"))


def test_the_values_never_move(tensors: dict[str, NDArray[np.float16]]) -> None:
    assert canonical_sha256({name: tensor.astype(np.float32) for name, tensor in tensors.items()}) == FIXTURE_SHA256


def test_layer_scales_are_uniform_between_a_tenth_and_one(tensors: dict[str, NDArray[np.float16]]) -> None:
    scales = np.concatenate([tensor for name, tensor in tensors.items() if name.endswith(".scale")]).astype(np.float64)
    assert scales.min() >= 0.1 - 1e-3
    assert scales.max() <= 1 + 1e-3
    assert abs(scales.mean() - 0.55) < 0.01
    counts, _ = np.histogram(scales, bins=9, range=(0.1, 1))
    assert counts.min() > 0.8 * counts.mean()


def test_large_matrices_are_nearly_normal_with_a_deviation_by_fan_in(
    tensors: dict[str, NDArray[np.float16]],
) -> None:
    matrix = tensors["crosstransformer.layers.0.linear1.weight"].astype(np.float64)
    standard = matrix * np.sqrt(matrix.shape[1])
    assert abs(standard.mean()) < 0.01
    assert abs(standard.std() - 1) < 0.01
    kurtosis = np.mean(standard**4) / standard.std() ** 4
    # A normal distribution has 3; a sum of eight uniform ones 3 - 1.2 / 8.
    assert abs(kurtosis - 2.85) < 0.05


def test_no_two_tensors_repeat_each_other(tensors: dict[str, NDArray[np.float16]]) -> None:
    starts = {tensor.ravel()[:6].tobytes() for tensor in tensors.values()}
    assert len(starts) == len(tensors)


@pytest.mark.parametrize("entry", [SMALL_ENTRY, SMALL_FOUR_STEM_ENTRY])
def test_every_block_answers_music_at_a_healthy_level(entry: ModelEntry) -> None:
    network = build_network(entry, load_weights(entry, None).tensors)
    deviations: dict[str, float] = {}

    def record(name: str) -> object:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            first = output[0] if isinstance(output, tuple) else output
            assert isinstance(first, torch.Tensor)
            deviations[name] = float(first.std())

        return hook

    for name, module in network.named_modules():
        if (name.count(".") in (1, 2) or name.startswith("channel_")) and not isinstance(module, nn.ModuleList):
            module.register_forward_hook(record(name))
    network(torch.from_numpy(synthetic_song(44100))[None])
    assert len(deviations) > 40
    assert all(0.02 <= deviation <= 50 for deviation in deviations.values()), deviations
