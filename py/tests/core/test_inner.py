from dataclasses import replace

import numpy as np
import pytest
import torch
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from committed_goldens import SMALL_GOLDENS
from htdemucs_coreml.core.contract import INPUT_NAMES, OUTPUT_NAMES, CoreContract
from htdemucs_coreml.core.inner import InnerHTDemucs, ModelExtractionError, extract_inner_model
from htdemucs_coreml.goldens.reading import open_goldens
from htdemucs_coreml.models.architecture import build_network, network_arguments
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights
from small_model import SHORT_SEGMENT_SAMPLES, SMALL_ENTRY, SMALL_FOUR_STEM_ENTRY


def joined(network: HTDemucs, core: nn.Module, mix: torch.Tensor) -> torch.Tensor:
    """The core between demucs' own STFT and iSTFT."""
    mixed = network._spec(mix)
    outputs = core(mixed.real, mixed.imag, mix)
    stems: torch.Tensor = network._ispec(torch.complex(outputs.stems_real, outputs.stems_imag), mix.shape[-1])
    return torch.add(stems, outputs.stems_waveform)


@pytest.fixture(scope="module")
def fixture_network() -> HTDemucs:
    entry = find_model("fixture")
    return build_network(entry, load_weights(entry, None).tensors)


@pytest.mark.parametrize("samples", [343_980, 441_000])
def test_joined_with_upstreams_stft_it_is_bit_identical_to_upstream(fixture_network: HTDemucs, samples: int) -> None:
    mix = torch.from_numpy(synthetic_song(samples))[None]
    with torch.inference_mode():
        expected = fixture_network(mix)
        actual = joined(fixture_network, extract_inner_model(fixture_network, samples), mix)
    assert torch.equal(actual, expected)


@settings(max_examples=10, deadline=None)
@given(samples=st.integers(SHORT_SEGMENT_SAMPLES, 4 * SHORT_SEGMENT_SAMPLES), seed=st.integers(0, 99))
def test_it_is_bit_identical_at_every_length(small_checkpoint: Checkpoint, samples: int, seed: int) -> None:
    network = build_network(SMALL_ENTRY, small_checkpoint.tensors)
    mix = torch.randn(1, 2, samples, generator=torch.Generator().manual_seed(seed)) * 0.1
    with torch.inference_mode():
        assert torch.equal(joined(network, extract_inner_model(network, samples), mix), network(mix))


@settings(max_examples=6, deadline=None)
@given(
    samples=st.integers(SHORT_SEGMENT_SAMPLES, 4 * SHORT_SEGMENT_SAMPLES),
    bottom_channels=st.sampled_from([8, 16, 64, 96]),
    sources=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_it_is_bit_identical_with_channels_of_the_transformers_own(
    samples: int, bottom_channels: int, sources: int, seed: int
) -> None:
    architecture = {**SMALL_FOUR_STEM_ENTRY.architecture, "bottom_channels": bottom_channels, "t_layers": 2}
    entry = replace(SMALL_FOUR_STEM_ENTRY, sources=SMALL_FOUR_STEM_ENTRY.sources[:sources], architecture=architecture)
    torch.manual_seed(seed)
    network = HTDemucs(**network_arguments(entry)).eval()
    network.use_train_segment = False
    mix = torch.randn(1, 2, samples) * 0.1
    with torch.inference_mode():
        assert torch.equal(joined(network, extract_inner_model(network, samples), mix), network(mix))


def test_in_float64_it_agrees_with_the_golden_of_upstream() -> None:
    goldens = open_goldens(SMALL_GOLDENS)
    golden = goldens.entry("whole_model/fixture_11264/stems")
    entry = find_model("fixture")
    checkpoint = load_weights(entry, None)
    assert checkpoint.sha256 == golden.inputs["weights.fixture"]
    network = build_network(entry, {name: tensor.double() for name, tensor in checkpoint.tensors.items()})
    mix = torch.from_numpy(goldens.load("whole_model/fixture_11264/input", np.float32).astype(np.float64))[None]
    expected = torch.from_numpy(goldens.load("whole_model/fixture_11264/stems", np.float32).astype(np.float64))
    assert golden.kept is not None
    assert golden.kept.axis == "sample"
    stems = joined(network, extract_inner_model(network, mix.shape[-1]), mix)[0, ..., list(golden.kept.positions)]
    assert float(expected.std()) > 0.01
    torch.testing.assert_close(stems, expected, rtol=1e-5, atol=1e-6)


def test_outputs_have_the_contracts_names_and_shapes(small_network: HTDemucs) -> None:
    core = extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)
    inputs = {name: torch.zeros(shape) for name, shape in core.contract.input_shapes.items()}
    outputs = core(**inputs)
    assert tuple(inputs) == INPUT_NAMES
    assert outputs._fields == OUTPUT_NAMES
    assert {name: tuple(tensor.shape) for name, tensor in outputs._asdict().items()} == core.contract.output_shapes


def test_frames_are_the_segment_divided_by_the_hop_rounded_up() -> None:
    assert CoreContract(("a",), 441_000).frames == 431
    assert CoreContract(("a",), 343_980).frames == 336
    assert CoreContract(("a",), 1024).frames == 1


def test_parameters_are_frozen_and_the_core_is_in_evaluation_mode(small_network: HTDemucs) -> None:
    core = extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)
    assert not any(parameter.requires_grad for parameter in core.parameters())
    assert not any(module.training for module in core.modules())


def test_the_graph_holds_no_stft_and_no_complex_numbers(small_network: HTDemucs) -> None:
    core = extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)
    examples = tuple(torch.zeros(shape) for shape in core.contract.input_shapes.values())
    graph = str(torch.jit.trace(core, examples, check_trace=False).inlined_graph)
    assert "aten::_convolution" in graph
    for forbidden in ("stft", "fft", "Complex", "complex"):
        assert forbidden not in graph


def test_every_block_has_a_name_of_its_own(small_network: HTDemucs) -> None:
    core = extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)
    names = {name for name, _ in core.named_children()}
    for branch in ("frequency", "time"):
        expected = {f"{branch}_{kind}_{index}" for kind in ("encoder", "decoder") for index in range(4)}
        assert expected | {f"{branch}_transformer_{index}" for index in range(3)} <= names


def test_the_convolutions_around_the_transformer_have_names_of_their_own_where_there_are_any(
    small_network: HTDemucs,
) -> None:
    expected = {f"{branch}_channel_{kind}" for branch in ("frequency", "time") for kind in ("upsampler", "downsampler")}
    with_them = HTDemucs(**network_arguments(SMALL_FOUR_STEM_ENTRY))
    assert expected <= {name for name, _ in extract_inner_model(with_them, SHORT_SEGMENT_SAMPLES).named_children()}
    without = extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)
    assert not any("channel_" in name for name, _ in without.named_children())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cac", False),
        ("audio_channels", 1),
        ("nfft", 2048),
        ("samplerate", 48_000),
        ("freq_emb", 0),
        ("t_emb", "scaled"),
        ("t_weight_pos_embed", 0.5),
        ("t_sin_random_shift", 10),
        ("t_norm_in", False),
        ("t_layers", 0),
        ("multi_freqs", [0.5]),
    ],
)
def test_an_architecture_that_the_core_does_not_implement_is_refused(option: str, value: object) -> None:
    network = HTDemucs(**{**network_arguments(SMALL_ENTRY), option: value})
    with pytest.raises(ModelExtractionError, match="a core is extracted only where"):
        extract_inner_model(network, SHORT_SEGMENT_SAMPLES)


def test_another_class_is_refused_by_its_name() -> None:
    with pytest.raises(ModelExtractionError, match="HDemucs"):
        extract_inner_model(HDemucs(["a"], channels=4, depth=4, nfft=512), SHORT_SEGMENT_SAMPLES)


def test_a_segment_shorter_than_a_window_is_refused(small_network: HTDemucs) -> None:
    with pytest.raises(ModelExtractionError, match="4095 samples"):
        extract_inner_model(small_network, 4095)


def test_extraction_shares_the_networks_weights(small_network: HTDemucs) -> None:
    core = extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES)
    assert isinstance(core, InnerHTDemucs)
    assert core.get_parameter("time_encoder_0.conv.weight") is small_network.get_parameter("tencoder.0.conv.weight")
