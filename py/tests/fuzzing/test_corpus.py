"""Every fuzzing target over its committed inputs, without a fuzzer."""

from pathlib import Path

import pytest

from fuzz import CORPUS, scratch
from fuzz.target import SlowInputError, Target
from fuzz.targets import TARGETS

_INPUTS = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]
_MAXIMUM_CORPUS_BYTES = 500_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_every_input_of_its_corpus(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        TARGETS[name].check(path.read_bytes())


def test_every_folder_of_the_corpus_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_the_corpus_stays_small() -> None:
    assert sum(path.stat().st_size for _, path in _INPUTS) < _MAXIMUM_CORPUS_BYTES


def test_no_input_is_longer_than_its_target_takes() -> None:
    assert [path for name, path in _INPUTS if path.stat().st_size > TARGETS[name].maximum_bytes] == []


def _raising(error: Exception) -> Target:
    def run(_: bytes) -> None:
        raise error

    return Target("raising", run, (ValueError,))


def test_an_error_that_the_documentation_names_is_no_finding() -> None:
    _raising(ValueError("what happened")).check(b"")


def test_any_other_error_is_a_finding() -> None:
    with pytest.raises(TypeError):
        _raising(TypeError("what happened")).check(b"")


def test_an_error_that_says_nothing_is_a_finding() -> None:
    with pytest.raises(AssertionError, match="says nothing"):
        _raising(ValueError("")).check(b"")


def test_a_slow_input_is_a_finding() -> None:
    def count(data: bytes) -> None:
        assert sum(range(100_000 * len(data))) > 0

    with pytest.raises(SlowInputError, match="3 bytes took"):
        Target("slow", count, maximum_seconds=0.0).check(b"abc")


def test_files_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "folder", lambda: tmp_path)
    assert scratch.written("a/b", b"first").read_bytes() == b"first"
    assert scratch.written("a/b", b"2").read_bytes() == b"2"
