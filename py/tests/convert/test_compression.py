"""Weights of a package are, once unpacked, what compression says, and its bytes the same on every machine."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import coremltools
import coremltools.optimize.coreml as cto
import numpy as np
import pytest
import torch
from coremltools.proto import Model_pb2
from numpy.typing import NDArray

import htdemucs_coreml
from htdemucs_coreml.compress.forms import compressed, form_of
from htdemucs_coreml.compress.layout import WeightLayout
from htdemucs_coreml.compress.plans import (
    CompressionPlanError,
    parse_compression_plan,
    shipped_compression_plans,
)
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import find_variant, variants
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.program import Constant, Operation
from htdemucs_coreml.mil.steps import prepare
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.precision.plans import shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from nearness import nearest_to_pytorch_db
from small_model import SHORT_VARIANT

PATCHWORK_TEXT = """
    summary = "Every form"
    default = "palette6"
    calibrated = true
    [[rules]]
    blocks = ["frequency_transformer_*.linear1"]
    form = "int8-block"
    [[rules]]
    blocks = ["time_transformer_*.linear1"]
    form = "int8-channel"
    [[rules]]
    blocks = ["frequency_encoder_3.conv", "*_decoder_0"]
    form = "palette3"
    [[rules]]
    blocks = ["time_encoder_3.conv"]
    form = "none"
    """
PATCHWORK = parse_compression_plan("patchwork", PATCHWORK_TEXT)
HALF = SHORT_VARIANT.with_plan(shipped_plans()["float16"])
FORMS = ("palette1", "palette6", "int8-block")


@pytest.fixture(scope="module")
def plain(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compression") / "float16.mlpackage"
    convert_checkpoint(small_checkpoint, HALF, path)
    return path


@pytest.fixture(scope="module")
def patchwork(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compression") / "patchwork.mlpackage"
    convert_checkpoint(small_checkpoint, HALF.with_compression(PATCHWORK), path)
    return path


def weights_of(package: Path) -> dict[str, tuple[Operation, NDArray[np.generic]]]:
    """Weights as they are computed with, and the operations that use them, by the operation's name."""
    steps, _ = prepare(read_program(package).main)
    found = {}
    for step in steps:
        for source in step.tensors:
            if source.parameter == "weight" and isinstance(source.items[0], torch.Tensor):
                found[step.operation.name] = (step.operation, source.items[0].numpy())
    return found


def layout_of(operation: Operation) -> WeightLayout:
    if operation.type != "conv_transpose":
        return WeightLayout(0, 1)
    (strides,) = operation.inputs["strides"]
    assert isinstance(strides, Constant)
    return WeightLayout(1, 0, int(strides.array()[0]))


def operation_types(package: Package) -> Mapping[str, str]:
    (function,) = package.model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return {operation.outputs[0].name: operation.type for operation in block.operations}


@pytest.mark.parametrize("form", FORMS)
def test_a_package_computes_with_what_its_weights_are_in_their_form(
    small_checkpoint: Checkpoint, plain: Path, tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"{form}.mlpackage"
    convert_checkpoint(small_checkpoint, HALF.with_compression(shipped_compression_plans()[form]), path)
    assert read_package(path).metadata.variant == form
    unpacked, wanted = weights_of(path), form_of(form)
    assert wanted is not None
    changed = 0
    for name, (operation, tensor) in weights_of(plain).items():
        half = tensor.astype(np.float16)
        expected = compressed(half, wanted, layout_of(operation)).dense() if half.size >= 2048 else half
        np.testing.assert_array_equal(unpacked[name][1], expected.astype(np.float32))
        changed += half.size >= 2048
    assert changed > 20


def test_constants_keep_their_names_and_operations_their_order(plain: Path, patchwork: Path) -> None:
    before, after = operation_types(read_package(plain)), operation_types(read_package(patchwork))
    assert set(before) == set(after)
    kinds = {name: after[name] for name in before if before[name] != after[name]}
    assert set(kinds.values()) == {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"}
    assert all(name.endswith("__weight") for name in kinds)
    others = [name for name in after if after[name] != "const" and not after[name].startswith("constexpr")]
    assert others == [name for name in before if before[name] != "const"]
    assert before["time_encoder_3__conv__conv__weight"] == after["time_encoder_3__conv__conv__weight"] == "const"


def forms_of_weights(model: Model_pb2.Model) -> Counter[object]:
    """Of each operation that unpacks a weight: its type, and the types and shapes of its parameters."""
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    made = {output.name: output.type for operation in block.operations for output in operation.outputs}
    found: Counter[object] = Counter()
    for operation in block.operations:
        if operation.type.startswith("constexpr_"):
            parameters = []
            for name, argument in operation.inputs.items():
                (binding,) = argument.arguments
                kind = (made[binding.name] if binding.HasField("name") else binding.value.type).tensorType
                parameters.append((name, kind.dataType, tuple(size.constant.size for size in kind.dimensions)))
            found[operation.type, tuple(sorted(parameters))] += 1
    return found


@pytest.mark.parametrize(
    ("form", "judge", "settings"),
    [
        ("palette4", cto.palettize_weights, cto.OpPalettizerConfig("uniform", nbits=4, weight_threshold=2047)),
        ("int8-channel", cto.linear_quantize_weights, cto.OpLinearQuantizerConfig(weight_threshold=2047)),
    ],
)
def test_operations_have_the_form_that_coremltools_gives_them(
    small_checkpoint: Checkpoint, plain: Path, tmp_path: Path, form: str, judge: Callable[..., Any], settings: object
) -> None:
    path = tmp_path / "ours.mlpackage"
    convert_checkpoint(small_checkpoint, HALF.with_compression(shipped_compression_plans()[form]), path)
    model = coremltools.models.MLModel(str(plain), skip_model_load=True)
    theirs = forms_of_weights(judge(model, cto.OptimizationConfig(global_config=settings)).get_spec())
    ours = forms_of_weights(read_package(path).model)
    assert sum(ours.values()) > 20
    # They compress large constants of any operation, embeddings included.
    assert not ours - theirs
    assert sum((theirs - ours).values()) <= 3


def test_what_is_calibrated_comes_nearer(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = {}
    for calibrated in ("false", "true"):
        plan = parse_compression_plan("four", f'summary = ""\ndefault = "palette4"\ncalibrated = {calibrated}')
        path = tmp_path / f"{calibrated}.mlpackage"
        convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_compression(plan), path)
        found[calibrated] = nearest_to_pytorch_db(small_checkpoint, path)
    assert found["true"] > found["false"] + 2
    assert found["false"] > 5


@pytest.mark.parametrize("disabled", ["", "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"])
def test_the_bytes_are_the_same_in_another_process_with_other_threads_and_other_vector_kernels(
    patchwork: Path, tmp_path: Path, disabled: str
) -> None:
    threads = 1 if torch.get_num_threads() > 1 else 2
    plan, package = tmp_path / "patchwork.toml", tmp_path / "patchwork.mlpackage"
    plan.write_text(PATCHWORK_TEXT)
    paths = os.pathsep.join([str(Path(htdemucs_coreml.__file__).parents[1]), str(Path(__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}
    if disabled:
        # PyTorch's own kernels too, and those of its matrix products.
        environment |= {
            "NPY_DISABLE_CPU_FEATURES": disabled,
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_CBWR": "COMPATIBLE",
            "OPENBLAS_CORETYPE": "Nehalem",
        }
    script = Path(__file__).with_name("converting_compressed.py")
    subprocess.run([sys.executable, script, plan, str(threads), package], check=True, env=environment)
    assert read_package(package).digest == read_package(patchwork).digest


def test_a_plan_for_blocks_without_weights_is_an_error(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    plan = parse_compression_plan(
        "other", 'summary = ""\ndefault = "none"\nrules = [{ blocks = ["frequency_embedding"], form = "palette4" }]'
    )
    with pytest.raises(CompressionPlanError, match="rule 1 of plan other names frequency_embedding, where this core"):
        convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_compression(plan), tmp_path / "x.mlpackage")
    assert not list(tmp_path.iterdir())


def test_a_plan_of_ones_own_gives_its_name_to_the_variant() -> None:
    assert find_variant("mixed-7_8s").with_compression(PATCHWORK).name == "patchwork-7_8s"
    made = find_variant("mixed").with_compression(PATCHWORK)
    assert (made.name, made.plan, made.compression) == ("patchwork", find_variant("mixed").plan, PATCHWORK)


def test_every_compression_plan_is_a_variant_of_either_segment() -> None:
    compressed_variants = {name for name, variant in variants().items() if variant.compression is not None}
    names = set(shipped_compression_plans())
    assert compressed_variants == names | {f"{name}-7_8s" for name in names}
