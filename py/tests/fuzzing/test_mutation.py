"""Mutations keep what they promise: structure mostly, the size always."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from coremltools.proto import Model_pb2
from google.protobuf.message import DecodeError

from fuzz import CORPUS
from fuzz.json_mutation import mutate_json
from fuzz.parts import join, split
from fuzz.protobuf_mutation import mutation_of
from fuzz.targets import TARGETS

_ROUNDS = 100


def _flip(random: Random) -> Callable[[bytes, int], bytes]:
    """Stands for the fuzzer's own change of bytes."""

    def mutate_bytes(data: bytes, maximum: int) -> bytes:
        changed = bytearray(data[:maximum] or b"\0")
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)

    return mutate_bytes


def _mutated(mutate: Callable[..., bytes], data: bytes, maximum: int) -> list[bytes]:
    return [mutate(data, maximum, Random(seed), _flip(Random(seed))) for seed in range(_ROUNDS)]


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.mutate is not None])
def test_mutations_of_a_target_change_its_inputs_within_its_size(name: str) -> None:
    target = TARGETS[name]
    assert target.mutate is not None
    for data in sorted((path.read_bytes() for path in (CORPUS / name).iterdir()), key=len)[-3:]:
        mutated = _mutated(target.mutate, data, target.maximum_bytes)
        assert max(map(len, mutated)) <= target.maximum_bytes
        assert len(set(mutated) - {data}) > 20
        # The same chance gives the same input: findings can be made again.
        assert mutated == _mutated(target.mutate, data, target.maximum_bytes)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 4000, b"1", b'{"a": 1, "a": {"b": "[1, 2]"}}'])
def test_anything_can_be_mutated(data: bytes) -> None:
    for mutate in (mutate_json, mutation_of(Model_pb2.Model)):
        assert all(len(mutated) <= 5000 for mutated in _mutated(mutate, data, 5000))


def test_json_stays_json_most_of_the_time() -> None:
    parsed = 0
    for mutated in _mutated(mutate_json, b'{"a": [1, "x", null], "b": {"c": 2.5}}', 20_000):
        try:
            json.loads(mutated)
        except (ValueError, RecursionError):
            continue
        parsed += 1
    assert parsed > 0.7 * _ROUNDS


def test_a_message_stays_a_message_most_of_the_time() -> None:
    model, _ = split((CORPUS / "mil_program" / "convolution").read_bytes())
    mutated = _mutated(mutation_of(Model_pb2.Model), model, 20_000)
    assert len(set(mutated)) > 0.7 * _ROUNDS
    names = [operation.outputs[0].name for data in mutated for operation in _operations(data) if len(operation.outputs)]
    assert len(names) > _ROUNDS


def _operations(data: bytes) -> list[Any]:
    try:
        model = Model_pb2.Model.FromString(data)
    except DecodeError:
        return []
    return [
        operation
        for function in model.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operation in block.operations
    ]


def test_parts_are_told_apart() -> None:
    assert split(join(b"first", b"second")) == (b"first", b"second")
    assert split(b"\xff\xff\xff\xffrest") == (b"rest", b"")
    assert split(b"\1") == (b"", b"")
