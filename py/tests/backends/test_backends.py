from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from htdemucs_coreml.backends import BackendError, CoreBackend, load_backend
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.loading import PACKAGES_VARIABLE, find_package
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.models.registry import UnknownModelError
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_SEGMENT_SAMPLES


@pytest.fixture(params=["interpreter", "torch"])
def backend(request: pytest.FixtureRequest, small_package: Path, small_checkpoint: Checkpoint) -> CoreBackend:
    if request.param == "interpreter":
        return InterpreterBackend(small_package)
    return TorchBackend(small_checkpoint, SHORT_SEGMENT_SAMPLES)


def inputs(backend: CoreBackend) -> list[Tensor]:
    return [torch.zeros(shape) for shape in backend.contract.input_shapes.values()]


def test_outputs_have_the_shapes_of_the_contract(backend: CoreBackend) -> None:
    outputs = backend.predict(*inputs(backend))
    shapes = {name: tuple(tensor.shape) for name, tensor in outputs._asdict().items()}
    assert shapes == backend.contract.output_shapes
    assert all(tensor.dtype == torch.float32 for tensor in outputs)


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize(
    "spoil", [lambda tensor: tensor[..., 1:], lambda tensor: tensor[0], lambda tensor: tensor.double()]
)
def test_an_input_of_another_shape_or_type_is_refused_by_name(
    backend: CoreBackend, index: int, spoil: Callable[[Tensor], Tensor]
) -> None:
    given = inputs(backend)
    given[index] = spoil(given[index])
    with pytest.raises(BackendError, match=f"{list(backend.contract.input_shapes)[index]} is torch"):
        backend.predict(*given)


def test_inputs_are_not_changed(backend: CoreBackend) -> None:
    given = [torch.full_like(tensor, 0.25) for tensor in inputs(backend)]
    backend.predict(*given)
    assert all(bool((tensor == 0.25).all()) for tensor in given)


def test_core_ml_is_refused_where_it_does_not_exist(small_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    with pytest.raises(BackendError, match="on macOS only; use --backend interpreter"):
        load_backend("coreml", model=None, package=small_package, weights=None, segment=None)


def test_an_unknown_backend_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(BackendError, match="interpreter, torch, coreml"):
        load_backend("onnx", model=None, package=None, weights=None, segment=None)


def test_a_package_of_the_default_variant_is_found_by_model_and_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "fixture.mixed-7_8s.mlpackage"
    package.mkdir()
    monkeypatch.setenv(PACKAGES_VARIABLE, str(tmp_path))
    assert find_package("fixture", "7.8s") == package
    with pytest.raises(BackendError, match=r"convert --model fixture --variant mixed -o fixture\.mixed\.mlpackage"):
        find_package("fixture", "10s")


def test_a_missing_package_of_published_weights_says_that_it_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PACKAGES_VARIABLE, raising=False)
    with pytest.raises(
        BackendError,
        match="fetch htdemucs_6s`, make one with `htdemucs-coreml convert",
    ):
        find_package("htdemucs_6s", None)


def test_a_model_that_nobody_knows_has_no_package() -> None:
    with pytest.raises(UnknownModelError):
        find_package("htdemucs_7s", None)
