"""Exported weights are read by upstream and by the project, and both run the network that was trained."""

from pathlib import Path

import pytest
import torch
from demucs.hf import load_safetensors_model

from htdemucs_coreml.weights.checkpoint import load_checkpoint
from training.configuration import DEFAULT_CONFIGURATION, TrainingError, read_configuration
from training.export import entry_of, export_weights
from training.state import new_network

NANO = read_configuration(DEFAULT_CONFIGURATION)


def test_upstream_and_the_project_read_the_averaged_weights(tmp_path: Path) -> None:
    trained = new_network(NANO).eval()
    path = tmp_path / "nano.safetensors"
    export_weights(path, trained.state_dict(), NANO)
    assert path.stat().st_size <= 3_000_000

    upstream = load_safetensors_model(path)
    checkpoint = load_checkpoint(path, entry_of(NANO))
    assert upstream.sources == list(checkpoint.sources) == list(NANO.sources)
    assert upstream.segment == NANO.architecture["segment"]
    for name, tensor in trained.state_dict().items():
        rounded = tensor.to(torch.float16).to(torch.float32)
        assert torch.equal(checkpoint.tensors[name], rounded), name
        assert torch.equal(upstream.state_dict()[name].to(torch.float32), rounded), name


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    state = new_network(NANO).state_dict()
    for name in ("first", "second"):
        export_weights(tmp_path / name, state, NANO)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("value", [1e6, float("nan")])
def test_a_weight_that_float16_has_not_is_refused(tmp_path: Path, value: float) -> None:
    state = new_network(NANO).state_dict()
    state["freq_emb.embedding.weight"][0, 0] = value
    with pytest.raises(TrainingError, match="freq_emb"):
        export_weights(tmp_path / "nano.safetensors", state, NANO)
    assert not list(tmp_path.iterdir())
