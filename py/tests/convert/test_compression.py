"""Weights are, once unpacked, what compression says, in operations as coremltools makes them."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import coremltools
import coremltools.optimize.coreml as cto
import numpy as np
import pytest
import torch
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import Program
from coremltools.proto import Model_pb2
from numpy.typing import NDArray

from graphs import each_graph_converted_once
from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.forms import compressed, form_of
from htdemucs_coreml.compress.layout import WeightLayout, matrix_of
from htdemucs_coreml.compress.plans import (
    CompressionPlan,
    CompressionPlanError,
    parse_compression_plan,
    shipped_compression_plans,
)
from htdemucs_coreml.convert.compression import apply_compression
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import find_variant, variants
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.steps import prepare
from htdemucs_coreml.package.contents import differences, list_contents
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.precision.plans import shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from mil.packages import build, model, save, weights_folder
from nearness import nearest_to_pytorch_db
from small_model import SHORT_VARIANT

PATCHWORK_TEXT = """
    summary = "Every form"
    default = "palette4"
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
PLAIN_PATCHWORK = parse_compression_plan("plain", PATCHWORK_TEXT.replace("calibrated = true", ""))
HALF = SHORT_VARIANT.with_plan(shipped_plans()["float16"])

LAYOUTS = {
    "conv": WeightLayout(0, 1),
    "up.conv_tr": WeightLayout(1, 0, 4),
    "linear": WeightLayout(0, 1),
    "small": WeightLayout(0, 1),
}
SHAPES = {"conv": (32, 16, 5), "up.conv_tr": (32, 12, 8), "linear": (48, 64), "small": (23, 89)}


@pytest.fixture(scope="module")
def packages(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The small model as it is, and with the forms of the patchwork, calibrated and not."""
    folder = tmp_path_factory.mktemp("compression")
    paths = {name: folder / f"{name}.mlpackage" for name in ("whole", "patchwork", "plain")}
    with each_graph_converted_once():
        convert_checkpoint(small_checkpoint, HALF, paths["whole"])
        for plan in (PATCHWORK, PLAIN_PATCHWORK):
            convert_checkpoint(small_checkpoint, HALF.with_compression(plan), paths[plan.name])
    return paths


def layers(dtype: type[np.floating] = np.float16) -> tuple[Program, dict[str, NDArray[np.floating]]]:
    """A program of one layer of each kind and one that is too small, and their weights by the block."""
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}

    def body(values: Mapping[str, Any]) -> Any:
        x = values["x"]
        conv = Builder.conv(x=x, weight=weights["conv"], name="conv__conv")
        up = Builder.conv_transpose(x=conv, weight=weights["up.conv_tr"], strides=[4], name="up__conv_tr__conv")
        linear = Builder.linear(x=values["y"], weight=weights["linear"], name="linear__linear")
        small = Builder.linear(x=values["z"], weight=weights["small"], name="small__linear")
        return up, linear, small

    inputs = {"x": np.zeros((1, 16, 20), dtype), "y": np.zeros((1, 64), dtype), "z": np.zeros((1, 89), dtype)}
    return build(body, inputs), weights


def plan_of(form: str, *rules: str, calibrated: bool = False) -> CompressionPlan:
    head = f'summary = ""\ndefault = "{form}"\ncalibrated = {str(calibrated).lower()}\n'
    return parse_compression_plan("mine", head + "\n".join(rules))


def moments_of(weights: Mapping[str, NDArray[np.floating]]) -> dict[tuple[str, ...], NDArray[np.float64]]:
    """Moments of inputs that go together, for every weight."""
    found = {}
    for name, weight in weights.items():
        size = matrix_of(weight, LAYOUTS[name]).shape[1]
        inputs = np.cumsum(np.random.default_rng(1).normal(size=(size, 4 * size)), axis=0)
        found[tuple(name.split("."))] = inputs @ inputs.T
    return found


def weights_in(package: Path) -> dict[str, NDArray[np.floating]]:
    """Weights as they are computed with, by the block of the operation."""
    steps, _ = prepare(read_program(package).main)
    return {
        ".".join(step.operation.name.split("__")[:-1]): source.items[0].numpy()
        for step in steps
        for source in step.tensors
        if source.parameter == "weight" and isinstance(source.items[0], torch.Tensor)
    }


@pytest.mark.parametrize("calibrated", [False, True], ids=["plain", "calibrated"])
@pytest.mark.parametrize("form", ["palette1", "palette6", "palette8", "int8-channel", "int8-block"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_program_computes_with_what_its_weights_are_in_their_form(
    tmp_path: Path, dtype: type[np.floating], form: str, calibrated: bool
) -> None:
    program, weights = layers(dtype)
    moments, wanted = moments_of(weights), form_of(form)
    assert wanted is not None
    apply_compression(program, plan_of(form, calibrated=calibrated), moments=moments)
    package = save(model(program, weights_folder(tmp_path / "p.mlpackage")), tmp_path / "p.mlpackage")
    unpacked = weights_in(package)
    for name, weight in weights.items():
        known = moments[tuple(name.split("."))] if calibrated else None
        expected = weight if name == "small" else compressed(weight, wanted, LAYOUTS[name], known).dense()
        np.testing.assert_array_equal(unpacked[name], expected.astype(np.float32))
        assert (name == "small") == np.array_equal(expected, weight)


def forms_of_weights(message: Model_pb2.Model) -> Counter[object]:
    """Of each operation that unpacks a weight: its type, and the types and shapes of its parameters."""
    (block,) = message.mlProgram.functions["main"].block_specializations.values()
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
        *(
            (f"palette{bits}", cto.palettize_weights, cto.OpPalettizerConfig("uniform", nbits=bits, weight_threshold=0))
            for bits in (1, 2, 3, 4, 6, 8)
        ),
        ("int8-channel", cto.linear_quantize_weights, cto.OpLinearQuantizerConfig(weight_threshold=0)),
        (
            "int8-block",
            cto.linear_quantize_weights,
            cto.OpLinearQuantizerConfig(weight_threshold=0, granularity="per_block", block_size=16),
        ),
    ],
)
def test_operations_have_the_form_that_coremltools_gives_them(
    tmp_path: Path, form: str, judge: Callable[..., Any], settings: object
) -> None:
    program, _ = layers()
    converted = coremltools.convert(
        layers()[0], convert_to="mlprogram", minimum_deployment_target=coremltools.target.iOS18, skip_model_load=True
    )
    # Blocks of 16 of theirs are ours where a layer has 16 inputs.
    only = {"int8-block": ["conv"]}.get(form, ["conv", "up", "linear"])
    rules = ['[[rules]]\nblocks = ["*"]\nform = "none"', f'[[rules]]\nblocks = {only}\nform = "{form}"']
    apply_compression(program, plan_of("none", *rules))
    ours = forms_of_weights(model(program, weights_folder(tmp_path / "p.mlpackage")))
    theirs = forms_of_weights(judge(converted, cto.OptimizationConfig(global_config=settings)).get_spec())
    assert sum(ours.values()) == len(only)
    # They compress the small weight, too.
    assert not ours - theirs


def operation_types(package: Package) -> Mapping[str, str]:
    (function,) = package.model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return {operation.outputs[0].name: operation.type for operation in block.operations}


def test_constants_keep_their_names_and_operations_their_order(packages: Mapping[str, Path]) -> None:
    before, after = (operation_types(read_package(packages[name])) for name in ("whole", "patchwork"))
    assert set(before) == set(after)
    kinds = {name: after[name] for name in before if before[name] != after[name]}
    assert set(kinds.values()) == {"constexpr_lut_to_dense", "constexpr_blockwise_shift_scale"}
    assert all(name.endswith("__weight") for name in kinds)
    others = [name for name in after if after[name] != "const" and not after[name].startswith("constexpr")]
    assert others == [name for name in before if before[name] != "const"]
    assert before["time_encoder_3__conv__conv__weight"] == after["time_encoder_3__conv__conv__weight"] == "const"
    assert read_package(packages["patchwork"]).metadata.variant == "patchwork"


def test_what_is_calibrated_comes_nearer(small_checkpoint: Checkpoint, packages: Mapping[str, Path]) -> None:
    calibrated, plain = (nearest_to_pytorch_db(small_checkpoint, packages[name]) for name in ("patchwork", "plain"))
    assert calibrated > plain + 2
    assert plain > 5


def test_a_listing_names_what_calibration_changes_in_constants_of_operations(packages: Mapping[str, Path]) -> None:
    """Palettes and their indices stand in the operations that unpack them, and so has what unpacks integers."""
    calibrated, plain = (list_contents(read_package(packages[name])) for name in ("patchwork", "plain"))
    found = list(differences(plain, calibrated, most=1000))
    changed = {line.split(": ")[0] for line in found}
    weight = "frequency_transformer_0__linear2__linear__weight"
    assert {f"constant {weight}.indices", f"constant {weight}.lut"} <= changed
    assert {key.split(".")[-1] for key in changed if key.startswith("constant ")} == {"indices", "lut"}
    # An operation is the same whatever constants it refers to; but 8 entries stand in it.
    assert f"operation {weight}" not in changed
    assert "operation frequency_decoder_0__rewrite__conv__weight" in changed
    listed = {line.split(" ")[1]: line.split(" ")[2] for line in calibrated if line.startswith("constant ")}
    assert listed[f"{weight}.lut"] == "float16[1x1x16x1]"
    assert listed[f"{weight}.indices"].startswith("uint4[")
    integers = "frequency_transformer_0__linear1__linear__weight"
    assert {f"{integers}.data", f"{integers}.scale"} <= set(listed)


def test_a_plan_for_blocks_without_weights_is_an_error() -> None:
    program, _ = layers()
    rule = 'rules = [{ blocks = ["small"], form = "palette4" }]'
    with pytest.raises(
        CompressionPlanError, match=r"rule 1 of plan mine names small, where .* some in conv, linear, up"
    ):
        apply_compression(program, plan_of("none", rule))


def test_a_calibrated_plan_is_never_applied_without_moments() -> None:
    program, weights = layers()
    with pytest.raises(CompressionError, match="plan mine is calibrated, and no moments are given"):
        apply_compression(program, plan_of("palette4", calibrated=True))
    moments = moments_of(weights)
    del moments["up", "conv_tr"]
    with pytest.raises(CompressionError, match=r"there are no moments of what up\.conv_tr takes"):
        apply_compression(program, plan_of("palette4", calibrated=True), moments=moments)


def test_a_weight_that_cannot_be_compressed_is_named() -> None:
    def body(values: Mapping[str, Any]) -> Any:
        weight = np.full((48, 64), np.inf, np.float32)
        return Builder.linear(x=values["x"], weight=weight, name="block__linear")

    program = build(body, {"x": np.zeros((1, 64), np.float32)})
    with pytest.raises(CompressionError, match=r"the weight of block cannot be compressed: .* not finite everywhere"):
        apply_compression(program, plan_of("palette4"))


def test_a_weight_of_two_layers_takes_the_form_of_the_first_and_a_plan_may_name_both() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)

    def body(values: Mapping[str, Any]) -> Any:
        shared = Builder.const(val=weight, name="first__linear__weight")
        made = Builder.linear(x=values["x"], weight=shared, name="first__linear")
        return Builder.linear(x=made, weight=shared, name="second__linear")

    program = build(body, {"x": np.zeros((1, 64), np.float32)})
    rules = [
        f'[[rules]]\nblocks = ["{block}"]\nform = "{form}"'
        for block, form in {"first": "palette4", "second": "palette8"}.items()
    ]
    apply_compression(program, plan_of("none", *rules))
    types = Counter(operation.op_type for operation in program.functions["main"].operations)
    assert types["constexpr_lut_to_dense"] == 1
    first, second = (operation for operation in program.functions["main"].operations if operation.op_type == "linear")
    assert first.weight is second.weight
    assert first.weight.op.lut.shape[-2] == 16


def test_a_plan_of_ones_own_gives_its_name_to_the_variant() -> None:
    assert find_variant("mixed-7_8s").with_compression(PATCHWORK).name == "patchwork-7_8s"
    made = find_variant("mixed").with_compression(PATCHWORK)
    assert (made.name, made.plan, made.compression) == ("patchwork", find_variant("mixed").plan, PATCHWORK)


def test_every_compression_plan_is_a_variant_of_either_segment() -> None:
    compressed_variants = {name for name, variant in variants().items() if variant.compression is not None}
    names = set(shipped_compression_plans())
    assert compressed_variants == names | {f"{name}-7_8s" for name in names}
