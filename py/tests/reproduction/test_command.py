import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result as Ended

from repro import __main__ as command
from repro.locked import compare_reference
from repro.reproduction import Control, Outcome, Result, Subject
from repro.variations import Variation

Judge = Callable[[Variation], tuple[Result, Control]]


@pytest.fixture
def reproduce(small_package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ended]:
    """Runs the command with outcomes that are given."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "float32.mlpackage").symlink_to(small_package)

    def run(judge: Judge, *arguments: str) -> Ended:
        class Judged:
            seconds = 1.0

            def __init__(self, *_: object) -> None:
                self.packages = packages

            def run(self, variations: Sequence[Variation], _processes: int) -> Iterator[Outcome]:
                for variation in reversed(variations):
                    yield Outcome(variation, *judge(variation), "", ("because",))

        monkeypatch.setattr(command, "Reproduction", Judged)
        return CliRunner().invoke(command.main, ["run", "--quick", *arguments])

    return run


GOOD = (Result.IDENTICAL, Control.CAUGHT)
MISSING = (Result.NOT_RUN, Control.NOT_RUN)


def except_for(name: str, verdict: tuple[Result, Control]) -> Judge:
    return lambda variation: verdict if variation.name == name else GOOD


def last(ended: Ended) -> str:
    return ended.output.splitlines()[-1]


def test_all_identical_and_caught_succeeds(reproduce: Callable[..., Ended]) -> None:
    ended = reproduce(lambda _: GOOD)
    assert ended.exit_code == 0
    assert last(ended) == "24 variations, 24 identical, 24 controls caught"


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        ((Result.DIFFERENT, Control.CAUGHT), "24 variations, 23 identical, 24 controls caught"),
        ((Result.FAILED, Control.CAUGHT), "24 variations, 23 identical, 24 controls caught"),
        ((Result.IDENTICAL, Control.MISSED), "24 variations, 24 identical, 23 controls caught"),
        ((Result.IDENTICAL, Control.UNSTEADY), "24 variations, 24 identical, 23 controls caught"),
    ],
    ids=["different", "failed", "missed", "unsteady"],
)
def test_one_that_is_not_fails_whatever_may_be_missing(
    reproduce: Callable[..., Ended], verdict: tuple[Result, Control], line: str
) -> None:
    ended = reproduce(except_for("umask", verdict), "--allow-missing")
    assert ended.exit_code == 1
    assert last(ended) == line
    assert "\n  because\n" in ended.output


def test_what_cannot_run_here_fails_unless_it_may_be_missing(reproduce: Callable[..., Ended]) -> None:
    judge = except_for("user", MISSING)
    ended = reproduce(judge)
    assert ended.exit_code == 1
    assert "--allow-missing" in ended.output
    assert last(ended) == "24 variations, 23 identical, 23 controls caught"
    assert reproduce(judge, "--allow-missing").exit_code == 0


def test_a_reference_that_is_not_as_locked_fails(
    reproduce: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "compare_reference", lambda *_: (["float32 is NOT as locked"], False))
    ended = reproduce(lambda _: GOOD)
    assert ended.exit_code == 1
    assert "float32 is NOT as locked" in ended.output


def test_the_reference_at_full_size_is_compared_with_the_lock(
    fixture_packages: Mapping[str, Path], small_package: Path, tmp_path: Path
) -> None:
    subject = Subject("full", ("float32",))
    (tmp_path / "float32.mlpackage").symlink_to(fixture_packages["float32"])
    lines, agree = compare_reference(subject, tmp_path)
    assert agree
    assert [line.split()[-2:] for line in lines] == [["as", "locked"]]
    (tmp_path / "float32.mlpackage").unlink()
    (tmp_path / "float32.mlpackage").symlink_to(small_package)
    lines, agree = compare_reference(subject, tmp_path)
    assert not agree
    assert lines[0].endswith("NOT as locked")
    assert any("constant" in line for line in lines)


def test_too_few_variations_fail_whatever_may_be_missing(reproduce: Callable[..., Ended]) -> None:
    ended = reproduce(lambda variation: GOOD if variation.name == "umask" else MISSING, "--allow-missing")
    assert ended.exit_code == 1
    assert "fewer than 14 variations ran" in ended.output


def test_the_outcome_is_written_and_shown_as_documentation(reproduce: Callable[..., Ended], tmp_path: Path) -> None:
    file = tmp_path / "outcome.json"
    reproduce(except_for("umask", (Result.DIFFERENT, Control.CAUGHT)), "--json", str(file))
    table = json.loads(file.read_bytes())
    assert [entry["name"] for entry in table["variations"][:2]] == ["again", "clock"]
    assert table["summary"] == "24 variations, 23 identical, 24 controls caught"
    shown = CliRunner().invoke(command.main, ["table", str(file)]).output
    assert "| umask | 077 | different | caught |\n" in shown
    assert table["machine"]["cpu"] in shown
    assert shown.endswith("24 variations, 23 identical, 24 controls caught.\n")


def test_another_file_is_no_outcome(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    ended = CliRunner().invoke(command.main, ["table", str(tmp_path / "other.json")])
    assert "is not what --json writes" in str(ended.exception)
