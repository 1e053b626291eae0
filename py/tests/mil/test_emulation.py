from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.mil import Interpreter, UnsupportedError, read_package
from htdemucs_coreml.mil.emulation import Emulator
from htdemucs_coreml.mil.tensor_types import Array, DataType
from htdemucs_coreml.precision.plans import shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_VARIANT


@pytest.fixture(scope="module")
def selector_package(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("selector") / "selector.mlpackage"
    convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_plan(shipped_plans()["design-selector"]), path)
    return path


@pytest.fixture(scope="module")
def inputs(small_package: Path) -> Mapping[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    declared = read_package(small_package).main.inputs
    return {value.name: torch.randn(value.type.shape, generator=generator) for value in declared}


def interpreted(package: Path, inputs: Mapping[str, Tensor]) -> dict[str, Array]:
    return Interpreter(read_package(package)).predict({name: tensor.numpy() for name, tensor in inputs.items()})


def assert_equal(emulated: Mapping[str, Tensor], outputs: Mapping[str, Array]) -> None:
    assert emulated.keys() == outputs.keys()
    for name, tensor in emulated.items():
        np.testing.assert_array_equal(tensor.numpy(), outputs[name])


def test_emulated_operations_compute_what_float16_operations_of_a_package_compute(
    small_package: Path, selector_package: Path, inputs: Mapping[str, Tensor]
) -> None:
    halves = {
        operation.name
        for operation in read_package(selector_package).main.operations
        if operation.outputs[0].type.dtype is DataType.FLOAT16 and operation.type != "cast"
    }
    emulator = Emulator(read_package(small_package))
    assert halves < {operation.name for operation in emulator.operations}
    assert_equal(emulator.finish(inputs, 0, halves), interpreted(selector_package, inputs))


def test_without_rounding_it_is_the_interpreter(small_package: Path, inputs: Mapping[str, Tensor]) -> None:
    emulator = Emulator(read_package(small_package))
    assert_equal(emulator.finish(inputs, 0, frozenset()), interpreted(small_package, inputs))


def test_a_state_can_be_gone_on_from_twice(small_package: Path, inputs: Mapping[str, Tensor]) -> None:
    emulator = Emulator(read_package(small_package))
    half = len(emulator.operations) // 2
    values = dict(inputs)
    for index in range(half):
        emulator.advance(values, index)
    later = {operation.name for operation in emulator.operations[half:]}
    changed = emulator.finish(values, half, later)
    assert_equal(emulator.finish(values, half, frozenset()), interpreted(small_package, inputs))
    assert any(not torch.equal(changed[name], emulator.finish(values, half, frozenset())[name]) for name in changed)


def test_a_float16_program_is_refused(selector_package: Path) -> None:
    with pytest.raises(UnsupportedError, match="is float16 already"):
        Emulator(read_package(selector_package))
