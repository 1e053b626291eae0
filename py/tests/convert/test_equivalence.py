"""The project's short way to a package gives the bytes of coremltools' own, longer one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import coremltools
import pytest
import torch
from coremltools.converters.mil.mil import Program
from coremltools.proto import Model_pb2
from torch.utils._python_dispatch import TorchDispatchMode

import htdemucs_coreml.convert.program as program_module
from htdemucs_coreml.convert.capture import captured
from htdemucs_coreml.convert.operation_names import name_operations
from htdemucs_coreml.convert.passes import before_naming
from htdemucs_coreml.convert.program import DEPLOYMENT_TARGET, ConversionError, ConvertedProgram, convert_core
from htdemucs_coreml.convert.serialisation import serialised
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.core.inner import InnerHTDemucs, extract_inner_model
from htdemucs_coreml.core.rewrites import rewritten
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.package.canonical import canonical_model
from htdemucs_coreml.package.layout import MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageMetadata
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_SEGMENT_SAMPLES

OPTIONS = {
    "compute_precision": coremltools.precision.FLOAT32,
    "minimum_deployment_target": DEPLOYMENT_TARGET,
}


class Refusing(TorchDispatchMode):
    """Refuses to compute what networks consist of."""

    NAMES = frozenset({"convolution", "mm", "bmm", "native_layer_norm", "gelu", "mean"})

    def __init__(self) -> None:
        # PyTorch's constructor has no types.
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> object:
        assert func.overloadpacket.__name__ not in self.NAMES
        return func(*args, **(kwargs or {}))


def core_of(checkpoint: Checkpoint, segment_samples: int = SHORT_SEGMENT_SAMPLES) -> InnerHTDemucs:
    return rewritten(extract_inner_model(build_network(checkpoint.entry, checkpoint.tensors), segment_samples))


def computing_capture(core: InnerHTDemucs) -> torch.jit.ScriptModule:
    examples = tuple(torch.zeros(shape) for shape in core.contract.input_shapes.values())
    with torch.no_grad():
        module: torch.jit.ScriptModule = torch.jit.trace(core, examples, check_trace=False)
        return module


def saved_by_coremltools(program: Program, path: Path) -> tuple[Model_pb2.Model, bytes]:
    """Model and weight file of a converted program, written by coremltools' native writers."""
    coremltools.convert(
        program,
        convert_to="mlprogram",
        pass_pipeline=coremltools.PassPipeline.EMPTY,
        skip_model_load=True,
        **OPTIONS,
    ).save(str(path))
    return Model_pb2.Model.FromString((path / MODEL).read_bytes()), (path / WEIGHT_BIN).read_bytes()


def converted_by_coremltools(core: InnerHTDemucs) -> Program:
    """A core's program by coremltools' whole pipeline, from a capture that computes the network."""
    return coremltools.convert(
        computing_capture(core),
        inputs=[coremltools.TensorType(name, shape) for name, shape in core.contract.input_shapes.items()],
        outputs=[coremltools.TensorType(name) for name in core.contract.output_shapes],
        convert_to="milinternal",
        pass_pipeline=before_naming(coremltools.PassPipeline.DEFAULT.passes),
        **OPTIONS,
    )


def assert_same(ours: ConvertedProgram, model: Model_pb2.Model, weight_bin: bytes) -> None:
    assert b"".join(ours.weights.chunks()) == weight_bin
    metadata = PackageMetadata("m", "v", ("s",), 44_100, 10, 4096, 1024, "", "", "")
    first, second = (canonical_model(one, metadata, "summary", "MIT") for one in (ours.model, model))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_a_package_is_what_coremltools_converts_and_saves_but_for_what_is_made_canonical(
    small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    core = core_of(small_checkpoint)
    program = converted_by_coremltools(core)
    name_operations(program)
    assert_same(convert_core(core), *saved_by_coremltools(program, tmp_path / "native.mlpackage"))


@pytest.mark.parametrize("name", ["float32", "float32-7_8s", "design-selector-7_8s"])
def test_every_variant_is_written_as_coremltools_native_writers_do(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    written: list[tuple[Model_pb2.Model, bytes]] = []

    def write_both(program: Program, version: int) -> object:
        written.append(saved_by_coremltools(program, tmp_path / "native.mlpackage"))
        return serialised(program, version)

    monkeypatch.setattr(program_module, "serialised", write_both)
    variant = variants()[name]
    ours = convert_core(core_of(small_checkpoint, variant.segment_samples), variant.plan)
    assert_same(ours, *written[0])


def test_all_of_the_passes_find_nothing_more_in_weights_that_could_be_left_out(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal constants, factors of one and offsets of zero are what passes look for."""
    tensors = {
        name: torch.zeros_like(tensor) if name.endswith("bias") else torch.ones_like(tensor)
        for name, tensor in small_checkpoint.tensors.items()
    }
    core = core_of(replace(small_checkpoint, tensors=tensors))
    short = convert_core(core)
    monkeypatch.setattr(program_module, "PASSES", coremltools.PassPipeline.DEFAULT.passes)
    whole = convert_core(core)
    assert whole.model.SerializeToString(deterministic=True) == short.model.SerializeToString(deterministic=True)
    assert whole.weights.sha256() == short.weights.sha256()


def test_a_capture_computes_nothing_of_the_network(small_checkpoint: Checkpoint) -> None:
    core = core_of(small_checkpoint)
    with pytest.raises(AssertionError), Refusing():
        computing_capture(core)
    with Refusing():
        assert captured(core).inlined_graph


def test_a_graph_that_depends_on_the_value_of_an_activation_is_refused(small_checkpoint: Checkpoint) -> None:
    class AsksForAValue(InnerHTDemucs):
        def forward(
            self, spectrogram_real: torch.Tensor, spectrogram_imag: torch.Tensor, waveform: torch.Tensor
        ) -> CoreOutputs:
            return CoreOutputs(spectrogram_real * float(spectrogram_real.mean()), spectrogram_imag, waveform)

    core = core_of(small_checkpoint)
    core.__class__ = AsksForAValue
    with pytest.raises(ConversionError, match="cannot convert the core of this model"):
        convert_core(core)
