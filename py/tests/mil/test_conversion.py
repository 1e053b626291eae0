"""Modules of torch, converted by coremltools and executed from the package, give what torch gives."""

from pathlib import Path

import coremltools as ct
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from htdemucs_coreml.mil import Interpreter, analyse, read_package
from htdemucs_coreml.mil.tensor_types import DataType


class _Attention(nn.Module):
    """Multi-head attention as converters see it: projections, heads, scaled products, a projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.project_in(x).chunk(3, dim=-1)
        )
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.project_out(attended.transpose(1, 2).flatten(2))
        return projected


class _Standardised(nn.Module):
    """Standardise over everything, compute, undo: as the core's ends do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv1d(2, 4, 8, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(dim=(1, 2), keepdim=True), x.std(dim=(1, 2), keepdim=True)
        result: Tensor = self.inner((x - mean) / (1e-5 + std)).view(1, 2, 2, -1) * std[:, None] + mean[:, None]
        return result


_MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv1d": (nn.Conv1d(3, 8, 8, 4, 2), (1, 3, 37)),
    "dilated conv1d": (nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2), (2, 4, 19)),
    "conv2d": (nn.Conv2d(3, 8, (8, 1), (4, 1), (2, 0)), (1, 3, 32, 5)),
    "conv_transpose1d": (nn.ConvTranspose1d(6, 4, 8, 4), (1, 6, 9)),
    "padded conv_transpose1d": (nn.ConvTranspose1d(6, 4, 8, 4, padding=2, output_padding=1), (1, 6, 9)),
    "conv_transpose2d": (nn.ConvTranspose2d(6, 4, (8, 1), (4, 1)), (1, 6, 5, 7)),
    "group_norm": (nn.GroupNorm(1, 6), (2, 6, 11)),
    "group_norm of groups": (nn.GroupNorm(3, 6), (2, 6, 5, 4)),
    "layer_norm": (nn.LayerNorm(16), (2, 7, 16)),
    "batch_norm": (nn.BatchNorm2d(3).eval(), (1, 3, 4, 5)),
    "instance_norm": (nn.InstanceNorm1d(3, affine=True), (2, 3, 9)),
    "glu": (nn.GLU(1), (2, 6, 9)),
    "gelu": (nn.GELU(), (3, 17)),
    "gelu tanh": (nn.GELU(approximate="tanh"), (3, 17)),
    "attention": (_Attention(16, 4), (1, 9, 16)),
    "multi-head attention": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval(), (1, 9, 16)),
    "standardised": (_Standardised(), (1, 2, 100)),
    "reflection": (nn.ReflectionPad1d((3, 2)), (1, 2, 9)),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.backends.mha.set_fastpath_enabled(False)


def _convert(module: nn.Module, x: Tensor, path: Path, precision: ct.precision) -> Path:
    with torch.no_grad():
        traced = torch.jit.trace(module, x, check_trace=False)
    model = ct.convert(
        traced,
        inputs=[ct.TensorType("x", tuple(x.shape), dtype=np.float32)],
        outputs=[ct.TensorType("y", dtype=np.float32)],
        convert_to="mlprogram",
        compute_precision=precision,
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
    model.save(str(path))
    return path


@pytest.mark.parametrize("name", sorted(_MODULES))
def test_float32_packages_agree_with_torch(name: str, tmp_path: Path) -> None:
    module, shape = _MODULES[name]
    x = torch.from_numpy(np.random.default_rng(1).normal(size=shape).astype(np.float32))
    package = _convert(module, x, tmp_path / "m.mlpackage", ct.precision.FLOAT32)
    result = Interpreter(read_package(package)).predict({"x": x.numpy()})["y"]
    with torch.no_grad():
        np.testing.assert_allclose(result, module(x).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "conv_transpose2d", "group_norm", "glu"])
def test_float16_packages_compute_in_float16_and_stay_close(name: str, tmp_path: Path) -> None:
    module, shape = _MODULES[name]
    x = torch.from_numpy(np.random.default_rng(1).normal(size=shape).astype(np.float32))
    package = _convert(module, x, tmp_path / "m.mlpackage", ct.precision.FLOAT16)
    program = read_package(package)
    result = Interpreter(program).predict({"x": x.numpy()})["y"]
    operations = analyse(program).operations_by_dtype
    assert operations[DataType.FLOAT16] >= operations[DataType.FLOAT32]
    np.testing.assert_array_equal(result, result.astype(np.float16))
    with torch.no_grad():
        expected = module(x).numpy()
    noise = np.linalg.norm(result - expected) / np.linalg.norm(expected)
    assert 1e-5 <= noise <= 3e-3
