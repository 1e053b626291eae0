import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from coremltools.proto import FeatureTypes_pb2, MIL_pb2
from demucs.htdemucs import HTDemucs

from htdemucs_coreml.compress.plans import shipped_compression_plans
from htdemucs_coreml.convert.operation_names import SEPARATOR
from htdemucs_coreml.convert.program import ConversionError, convert_core
from htdemucs_coreml.convert.variants import UnknownVariantError, default_variant, find_variant, variants
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.core.rewrites import rewritten
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.precision.plans import shipped_plans

MAX_OPERATIONS = 850
MAX_BYTES = 111_000_000
IOS_18_SPECIFICATION_VERSION = 9


@pytest.fixture(scope="module")
def small(small_package: Path) -> Package:
    return read_package(small_package)


@pytest.fixture(scope="module")
def full_size(fixture_packages: Mapping[str, Path]) -> Package:
    return read_package(fixture_packages["float32"])


def operations(package: Package) -> list[MIL_pb2.Operation]:
    (function,) = package.model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return list(block.operations)


def test_inputs_and_outputs_are_those_of_the_contract_and_float32(small: Package) -> None:
    description = small.model.description
    contract = small.metadata.contract
    for features, shapes in (
        (description.input, contract.input_shapes),
        (description.output, contract.output_shapes),
    ):
        assert {feature.name: tuple(feature.type.multiArrayType.shape) for feature in features} == shapes
        for feature in features:
            assert feature.type.multiArrayType.dataType == FeatureTypes_pb2.ArrayFeatureType.FLOAT32
            assert feature.shortDescription


def test_the_program_asks_for_ios_18(small: Package) -> None:
    assert small.model.specificationVersion == IOS_18_SPECIFICATION_VERSION


def test_names_of_operations_are_unique_and_valid_identifiers(small: Package) -> None:
    names = [output.name for operation in operations(small) for output in operation.outputs]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in names)


def test_every_operation_is_named_after_its_block_and_type(small: Package, small_network: HTDemucs) -> None:
    core = extract_inner_model(small_network, small.metadata.segment_samples)
    blocks = {name for name, _ in core.named_children()} | {"core"}
    contract = small.metadata.contract
    for operation in operations(small):
        name = operation.outputs[0].name
        if name not in contract.output_shapes:
            block, *rest = name.split(SEPARATOR)
            assert block in blocks
            assert operation.type == "const" or operation.type in rest[-1 - (len(operation.outputs) > 1)]


def test_time_and_frequency_blocks_do_not_share_a_name(small: Package) -> None:
    blocks = {operation.outputs[0].name.split(SEPARATOR)[0] for operation in operations(small)}
    for branch in ("frequency", "time"):
        for kind, count in (("encoder", 4), ("decoder", 4), ("transformer", 3)):
            assert {f"{branch}_{kind}_{index}" for index in range(count)} <= blocks


def test_names_do_not_depend_on_the_segments_length(small_network: HTDemucs, small: Package) -> None:
    core = extract_inner_model(small_network, 2 * small.metadata.segment_samples)
    other = convert_core(rewritten(core)).model
    (function,) = other.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    named = {operation.outputs[0].name for operation in block.operations if operation.type != "const"}
    assert named == {op.outputs[0].name for op in operations(small) if op.type != "const"}


def test_the_full_core_has_few_operations_and_no_expanded_embedding(full_size: Package) -> None:
    counted = [operation for operation in operations(full_size) if operation.type != "const"]
    assert len(counted) <= MAX_OPERATIONS
    assert full_size.bytes <= MAX_BYTES
    embedding = next(op for op in operations(full_size) if op.outputs[0].name == "frequency_embedding__add__y")
    dimensions = embedding.outputs[0].type.tensorType.dimensions
    assert [dimension.constant.size for dimension in dimensions] == [1, 48, 512, 1]


def test_positional_embeddings_are_made_from_tables_far_smaller_than_they_are(full_size: Package) -> None:
    elements = dict.fromkeys(("frequency_position", "time_position"), 0)
    for operation in operations(full_size):
        block, *_ = operation.outputs[0].name.split(SEPARATOR)
        if block in elements and operation.type == "const":
            dimensions = operation.outputs[0].type.tensorType.dimensions
            elements[block] += math.prod(dimension.constant.size for dimension in dimensions)
    assert elements["frequency_position"] < 431 * 8 * 384 / 10
    assert elements["time_position"] < 1723 * 384 / 10


def test_attention_is_fused_as_ios_18_allows(full_size: Package) -> None:
    types = [operation.type for operation in operations(full_size)]
    assert types.count("scaled_dot_product_attention") == 10
    assert "softmax" not in types


def test_no_tensor_has_more_than_five_axes(full_size: Package) -> None:
    ranks = {output.type.tensorType.rank for op in operations(full_size) for output in op.outputs}
    assert max(ranks) <= 5


def test_a_graph_that_the_converter_refuses_is_one_clear_error(
    small_network: HTDemucs, monkeypatch: pytest.MonkeyPatch
) -> None:
    import coremltools

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("an operation that has no counterpart")

    monkeypatch.setattr(coremltools, "convert", refuse)
    with pytest.raises(ConversionError, match="cannot convert the core of this model: an operation"):
        convert_core(extract_inner_model(small_network, 11_264))


def test_every_variant_has_the_segment_of_one_of_the_two_chunk_plans() -> None:
    for name, variant in variants().items():
        plan, short = name.removesuffix("-7_8s"), name.endswith("-7_8s")
        named = variant.compression or variant.plan
        assert (named.name, variant.segment_samples) == (plan, 343_980 if short else 441_000)
    assert len(variants()) == 2 * (len(shipped_plans()) + len(shipped_compression_plans()))


def test_the_default_variant_is_mixed_with_either_segment() -> None:
    assert (default_variant(), default_variant(short=True)) == (variants()["mixed"], variants()["mixed-7_8s"])


def test_an_unknown_variant_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownVariantError, match="float32, float32-7_8s"):
        find_variant("float64")
