from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from coremltools.converters.mil.frontend.milproto.load import load as load_message
from coremltools.proto import MIL_pb2

from htdemucs_coreml.convert.element_types import MOVING, ElementTypeError
from htdemucs_coreml.convert.operation_names import SEPARATOR, block_of
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.program import DEPLOYMENT_TARGET
from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.precision.plans import FloatType, PlacedOperation, Plan, PlanError, parse_plan, shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from nearness import nearest_to_pytorch_db
from small_model import SHORT_VARIANT

PATCHWORK_TEXT = """
    summary = "Every kind of edge: between blocks and within one"
    default = "float32"
    [[rules]]
    blocks = ["frequency_encoder_1", "*_transformer_1", "time_decoder_3.conv_tr", "time_encoder_0.dconv"]
    type = "float16"
    [[rules]]
    blocks = ["frequency_transformer_1", "time_encoder_0.dconv"]
    operations = ["layer_norm", "add"]
    type = "float32"
    """
PATCHWORK = parse_plan("patchwork", PATCHWORK_TEXT)
PLANS = {plan.name: plan for plan in (shipped_plans()["float16"], shipped_plans()["design-selector"], PATCHWORK)}
FLOAT16_FLOOR_DB = 48
MIXED_FLOOR_DB = 60


@pytest.fixture(scope="module")
def packages(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("plans")
    paths = {name: folder / f"{name}.mlpackage" for name in PLANS}
    for name, path in paths.items():
        convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_plan(PLANS[name]), path)
    return paths


def block_operations(package: Package) -> list[MIL_pb2.Operation]:
    (function,) = package.model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return list(block.operations)


def name_of(operation: MIL_pb2.Operation) -> str:
    return str(operation.attributes["name"].immediateValue.tensor.strings.values[0])


def arguments(operation: MIL_pb2.Operation) -> Iterator[str]:
    for argument in operation.inputs.values():
        yield from (binding.name for binding in argument.arguments)


def float_types(package: Package) -> dict[str, int]:
    (function,) = package.model.mlProgram.functions.values()
    values = [*function.inputs, *(output for operation in block_operations(package) for output in operation.outputs)]
    floats = {MIL_pb2.FLOAT16, MIL_pb2.FLOAT32}
    return {value.name: value.type.tensorType.dataType for value in values if value.type.tensorType.dataType in floats}


@pytest.mark.parametrize("name", PLANS)
def test_operations_compute_in_the_type_that_the_plan_gives_them(packages: Mapping[str, Path], name: str) -> None:
    package = read_package(packages[name])
    types = float_types(package)
    wanted = {FloatType.FLOAT16: MIL_pb2.FLOAT16, FloatType.FLOAT32: MIL_pb2.FLOAT32}
    for operation in block_operations(package):
        if operation.type in {"const", "cast", *MOVING}:
            continue
        placed = PlacedOperation(block_of(name_of(operation)), operation.type)
        expected = wanted[PLANS[name].type_of(placed)]
        values = (*arguments(operation), *(output.name for output in operation.outputs))
        used = {types[value] for value in values if value in types}
        assert used == {expected}, name_of(operation)


@pytest.mark.parametrize("name", PLANS)
def test_casts_stand_only_where_types_meet_and_once_for_a_value(packages: Mapping[str, Path], name: str) -> None:
    package = read_package(packages[name])
    operations = block_operations(package)
    types = float_types(package)
    makers = {output.name: operation for operation in operations for output in operation.outputs}
    casts = [operation for operation in operations if operation.type == "cast"]
    sources = [operation.inputs["x"].arguments[0].name for operation in casts]
    assert casts
    assert max(Counter(sources).values()) == 1
    for operation, source in zip(casts, sources, strict=True):
        result = operation.outputs[0].name
        assert {types[source], types[result]} == {MIL_pb2.FLOAT16, MIL_pb2.FLOAT32}
        assert makers[source].type not in {"const", "cast"}
        maker = makers[source]
        index = [output.name for output in maker.outputs].index(source)
        number = f"{SEPARATOR}{index}" if len(maker.outputs) > 1 else ""
        assert result == name_of(operation) == f"{name_of(maker)}{number}{SEPARATOR}cast"
        assert any(result in arguments(user) for user in operations)


def test_everything_in_float16_needs_casts_at_both_ends_alone(packages: Mapping[str, Path]) -> None:
    casts = [name_of(one) for one in block_operations(read_package(packages["float16"])) if one.type == "cast"]
    assert len(casts) == 4
    assert {block_of(name)[:1] for name in casts} == {("core",)}


def test_a_constant_that_both_types_use_is_there_in_both(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    tensors = dict(small_checkpoint.tensors)
    tensors["tencoder.2.dconv.layers.0.0.weight"] = tensors["encoder.2.dconv.layers.0.0.weight"]
    rules = '[[rules]]\nblocks = ["frequency_encoder_2.dconv"]\ntype = "float16"'
    plan = parse_plan("one", f'summary = "One block of two with equal weights"\ndefault = "float32"\n{rules}')
    path = tmp_path / "x.mlpackage"
    convert_checkpoint(replace(small_checkpoint, tensors=tensors), SHORT_VARIANT.with_plan(plan), path)
    package = read_package(path)
    types = float_types(package)
    weights = {
        block: next(one for one in block_operations(package) if name_of(one) == f"{block}__dconv__0__0__conv")
        .inputs["weight"]
        .arguments[0]
        .name
        for block in ("frequency_encoder_2", "time_encoder_2")
    }
    assert types[weights["frequency_encoder_2"]] == MIL_pb2.FLOAT16
    assert types[weights["time_encoder_2"]] == MIL_pb2.FLOAT32
    assert weights["frequency_encoder_2"] == f"{weights['time_encoder_2']}__float16"


@pytest.mark.parametrize("name", PLANS)
def test_inputs_and_outputs_stay_float32(packages: Mapping[str, Path], name: str) -> None:
    package = read_package(packages[name])
    types = float_types(package)
    contract = package.metadata.contract
    assert {types[value] for value in (*contract.input_shapes, *contract.output_shapes)} == {MIL_pb2.FLOAT32}


@pytest.mark.parametrize("name", PLANS)
def test_coremltools_reads_the_program_and_infers_the_same_types(packages: Mapping[str, Path], name: str) -> None:
    package = read_package(packages[name])
    weights = str((package.path / WEIGHT_BIN).parent)
    program = load_message(package.model, DEPLOYMENT_TARGET.value, weights)
    inferred = {
        output.name: {"fp16": MIL_pb2.FLOAT16, "fp32": MIL_pb2.FLOAT32}[output.dtype.__name__]
        for operation in program.functions["main"].operations
        for output in operation.outputs
        if output.dtype.__name__ in {"fp16", "fp32"}
    }
    declared = float_types(package)
    assert {name: declared[name] for name in inferred if name in declared} == inferred
    assert set(declared) - set(package.metadata.contract.input_shapes) <= set(inferred)


@pytest.mark.parametrize("name", PLANS)
def test_the_interpreted_package_is_as_near_to_pytorch_as_float16_allows(
    small_checkpoint: Checkpoint, packages: Mapping[str, Path], name: str
) -> None:
    assert FLOAT16_FLOOR_DB <= nearest_to_pytorch_db(small_checkpoint, packages[name]) < 100


def test_a_plan_without_float16_changes_no_byte(
    small_checkpoint: Checkpoint, small_package: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.mlpackage"
    rules = '[[rules]]\nblocks = ["*"]\ntype = "float32"'
    plan = parse_plan("float32", f'summary = "The same in other words"\ndefault = "float32"\n{rules}')
    convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_plan(plan), path)
    assert read_package(path).digest == read_package(small_package).digest


def test_a_plan_for_blocks_that_are_not_there_is_an_error(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    plan = parse_plan("other", 'summary = ""\ndefault = "float16"\nrules = [{blocks = ["decoder"], type = "float32"}]')
    with pytest.raises(PlanError, match="rule 1 of plan other names the block decoder, which this core does not have"):
        convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_plan(plan), tmp_path / "x.mlpackage")
    assert not list(tmp_path.iterdir())


def test_a_constant_beyond_float16_is_an_error_that_names_it(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in small_checkpoint.tensors.items()}
    tensors["encoder.0.conv.bias"][0] = 65_520.0
    checkpoint = replace(small_checkpoint, tensors=tensors)
    with pytest.raises(ElementTypeError, match=r"frequency_encoder_0__conv__conv__bias .* up to 65520, beyond"):
        convert_checkpoint(checkpoint, SHORT_VARIANT.with_plan(PLANS["float16"]), tmp_path / "x.mlpackage")


def test_the_plan_mixed_serves_other_models_as_far_as_they_have_its_blocks(
    small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.mlpackage"
    variant = SHORT_VARIANT.with_plan(shipped_plans()["mixed"])
    with pytest.raises(PlanError, match="names the block frequency_transformer_3, which this core does not have"):
        convert_checkpoint(small_checkpoint, variant, path)
    other = replace(small_checkpoint, entry=replace(small_checkpoint.entry, name="small"))
    convert_checkpoint(other, variant, path)
    assert MIXED_FLOOR_DB <= nearest_to_pytorch_db(small_checkpoint, path) < 100


def test_a_plan_of_ones_own_gives_its_name_to_the_variant() -> None:
    def renamed(plan: Plan, variant: str) -> str:
        return replace(SHORT_VARIANT, name=variant, plan=plan).with_plan(PATCHWORK).name

    assert renamed(PATCHWORK, "float32") == "patchwork"
    assert renamed(PATCHWORK, "float32-7_8s") == "patchwork-7_8s"
