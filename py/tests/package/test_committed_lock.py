"""The committed lock: complete, of the form that its schema says, and right about the files beside it."""

import json

import pytest
from jsonschema import Draft202012Validator

from committed_goldens import REPOSITORY, SMALL_GOLDENS
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.models.registry import registry
from htdemucs_coreml.package.lock import compare_with_lock, read_lock

GOLDENS = REPOSITORY / "goldens"
LOCK = read_lock(GOLDENS / "lock.json")
WHEEL_LOCKS = {f"wheels.{path.stem}": path for path in (REPOSITORY / "nix" / "locks").glob("*-*.txt")}
COMMITTED = {**WHEEL_LOCKS, "goldens.small": SMALL_GOLDENS / "manifest.json"}
PACKAGES = {f"mlpackages.{model}.{variant}" for model in registry() for variant in variants()}


def test_the_lock_is_of_the_form_that_its_schema_says() -> None:
    schema = json.loads((GOLDENS / "lock.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads((GOLDENS / "lock.json").read_bytes()))


def test_everything_that_is_built_or_committed_has_an_entry_or_a_reason_and_nothing_else_does() -> None:
    # Published weights are pinned where their URLs are, in the registry.
    expected = {*PACKAGES, *COMMITTED, "songs", "weights.fixture"}
    assert {name for name in expected if LOCK.find(name) is None} == set()
    assert set(LOCK.artefacts) <= expected
    without_entry = expected - set(LOCK.artefacts)
    assert set(LOCK.unconfirmed) <= without_entry | {name.rpartition(".")[0] for name in without_entry}


def test_every_confirmed_artefact_has_its_listing_and_no_other_is_there() -> None:
    assert {path.name for path in (GOLDENS / "contents").iterdir()} == {f"{name}.txt" for name in LOCK.artefacts}


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_a_committed_file_is_the_locked_one(name: str) -> None:
    entry = LOCK.find(name)
    assert entry is not None
    verdict = compare_with_lock(COMMITTED[name], entry, GOLDENS / "contents" / f"{name}.txt")
    assert verdict.differences == ()
    assert verdict.confirmed
