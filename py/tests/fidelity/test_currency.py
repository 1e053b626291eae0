"""The committed page: current without measuring again."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from committed_goldens import REPOSITORY
from fidelity_figures import package_figures, results
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.fidelity.bars import shipped_bars, verdicts
from htdemucs_coreml.fidelity.currency import outdated
from htdemucs_coreml.fidelity.page import page
from htdemucs_coreml.fidelity.results import Results, read_results
from htdemucs_coreml.package.digests import tree_sha256
from htdemucs_coreml.package.lock import Lock, LockEntry, read_lock
from htdemucs_coreml.plan_files import SHORT_SUFFIX

SHORT_VARIANTS = tuple(name for name in variants() if name.endswith(SHORT_SUFFIX))
FILES = {PurePosixPath("Manifest.json"): "c" * 64}
MEASURED = results({"mixed-7_8s": package_figures(sha256=tree_sha256(FILES))})
NAME = "mlpackages.fixture.mixed-7_8s"
LOCK = Lock({NAME: LockEntry(FILES, None)}, {})


def test_the_committed_page_is_what_the_data_give_and_the_data_are_of_the_locked_packages() -> None:
    measured = read_results(REPOSITORY / "docs" / "fidelity.toml")
    text = (REPOSITORY / "docs" / "fidelity.md").read_text(encoding="utf-8")
    made = verdicts(measured, shipped_bars(), variants())
    lock = read_lock(REPOSITORY / "goldens" / "lock.json")
    assert list(outdated(measured, text, made, lock, SHORT_VARIANTS)) == []


def lines(measured: Results = MEASURED, lock: Lock = LOCK, edit: str = "") -> list[str]:
    return list(outdated(measured, page(measured, []) + edit, [], lock, ["mixed-7_8s"]))


def test_what_is_current_is_left_alone() -> None:
    assert lines() == []


def test_an_edited_page_is_noticed() -> None:
    assert lines(edit="An afterthought.\n") == ["the page is not what its data give: run `just update-fidelity`"]


def test_a_package_that_is_no_longer_the_locked_one_is_named_with_the_recipe() -> None:
    entry = LockEntry({PurePosixPath("Manifest.json"): "d" * 64}, None)
    (line,) = lines(lock=Lock({NAME: entry}, {}))
    assert line.startswith("mixed-7_8s was measured with sha256")
    assert line.endswith("run `just update-fidelity`")


@pytest.mark.parametrize("unconfirmed", [{}, {"mlpackages.fixture": "nobody confirmed it"}])
def test_a_package_that_is_not_locked_is_named(unconfirmed: dict[str, str]) -> None:
    (line,) = lines(lock=Lock({}, unconfirmed))
    assert "the lock pins no such package" in line


def test_a_variant_that_was_not_measured_or_is_no_longer_one_is_named() -> None:
    assert lines(results({})) == ["mixed-7_8s was not measured: run `just update-fidelity`"]
    gone = replace(MEASURED, packages={**MEASURED.packages, "gone-7_8s": package_figures()})
    assert lines(gone) == ["gone-7_8s was measured, but there is no such variant: run `just update-fidelity`"]


def test_figures_of_another_version_of_the_measurement_are_noticed() -> None:
    other = replace(MEASURED, conditions=replace(MEASURED.conditions, version=0))
    (line,) = lines(other)
    assert line.startswith("measured by version 0")
