"""Variations with toys in place of packages, which take a tenth of a second, and one with the small model."""

import platform
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repro.process import not_here
from repro.reproduction import Control, Outcome, Reproduction, Result, Subject
from repro.variations import Plan, Variation, read_plan

PLAN = read_plan()
BY_NAME = {variation.name: variation for variation in PLAN.variations}
# The others load PyTorch or emulate a processor.
QUICK = [
    variation
    for variation in PLAN.variations
    if variation.toy not in ("sums", "torch_kernels", "matrix_product", "convolution") and variation.slow == 1
]
STEADY = Variation(name="other", what="nothing", toy="year")


@dataclass(frozen=True)
class ToySubject(Subject):
    """A toy in place of a conversion."""

    kind: str = "small"
    variants: tuple[str, ...] = ()
    toy: str = "year"

    def module(self, output: Path) -> list[str]:
        return ["repro.toys", str(output), self.toy]


def outcome(variation: Variation, subject: Subject, scratch: Path, **seconds: int) -> Outcome:
    plan = Plan((variation,), 1, {**PLAN.seconds, **seconds})
    return Reproduction(plan, subject, scratch).outcome(0, variation)


@pytest.mark.parametrize("variation", QUICK, ids=lambda variation: variation.name)
def test_a_subject_that_depends_on_what_is_varied_is_different(variation: Variation, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    found = outcome(variation, ToySubject(toy=variation.toy), tmp_path)
    if not_here(variation) is None and found.result is not Result.NOT_RUN:
        assert (found.result, found.control) == (Result.DIFFERENT, Control.CAUGHT), found
        assert found.detail[0].startswith(variation.toy)
    else:
        assert found.control is Control.NOT_RUN
        assert found.detail


def test_a_subject_that_depends_on_nothing_is_identical(tmp_path: Path) -> None:
    found = outcome(BY_NAME["hash seed"], ToySubject(), tmp_path)
    assert found.succeeded == (not_here(BY_NAME["hash seed"]) is None)


def on_linux(reason: str | None = None) -> object:
    """In place of what says why a variation cannot run here: these run anywhere."""
    return lambda _variation: reason


def test_a_variation_that_changes_nothing_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.reproduction.not_here", on_linux())
    found = outcome(STEADY, ToySubject(), tmp_path)
    assert (found.result, found.control) == (Result.IDENTICAL, Control.MISSED)
    assert not found.succeeded


def test_a_toy_that_changes_by_itself_controls_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.reproduction.not_here", on_linux())
    found = outcome(replace(STEADY, toy="random"), ToySubject(), tmp_path)
    assert (found.result, found.control) == (Result.IDENTICAL, Control.UNSTEADY)
    assert not found.succeeded


def test_a_subject_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.reproduction.not_here", on_linux())
    reproduction = Reproduction(Plan((STEADY,), 1, PLAN.seconds), ToySubject(), tmp_path)
    reproduction._seconds = 0
    found = reproduction.outcome(0, STEADY)
    assert found.result is Result.FAILED
    assert found.detail == ("it took more than 0 s and was ended",)


def test_a_way_that_does_not_work_here_gives_way_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.reproduction.not_here", on_linux())
    seed = ("env", "PYTHONHASHSEED=7")
    variation = replace(STEADY, toy="set_order", ways=(("false",), seed))
    found = outcome(variation, ToySubject(), tmp_path)
    assert (found.result, found.control, found.way) == (Result.IDENTICAL, Control.CAUGHT, "env")


def test_a_variation_of_which_no_way_works_did_not_run_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.reproduction.not_here", on_linux())
    found = outcome(replace(STEADY, ways=(("false",), ("false", "again"))), ToySubject(), tmp_path)
    assert (found.result, found.control) == (Result.NOT_RUN, Control.NOT_RUN)
    assert [line.strip() for line in found.detail] == ["false ended with status 1"] * 2


@pytest.mark.parametrize(
    ("variation", "reason"),
    [
        (replace(STEADY, machine="vax"), "is not vax"),
        (replace(STEADY, cpu=("tubes",)), "this CPU has no tubes"),
        (replace(STEADY, ways=(("no-such-program",),)), "no-such-program not installed"),
    ],
    ids=["machine", "cpu", "program"],
)
def test_what_a_machine_lacks_is_named(
    variation: Variation, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    found = outcome(variation, ToySubject(), tmp_path)
    assert found.result is Result.NOT_RUN
    assert reason in found.detail[0]


def test_without_float64_embeddings_the_small_model_is_different_and_the_constants_are_named(tmp_path: Path) -> None:
    variation = BY_NAME["numpy, AVX2 and FMA"]
    tmp_path.chmod(0o755)
    found = outcome(variation, Subject("small", ("float32",), "embeddings"), tmp_path)
    if not_here(variation) is None:
        assert (found.result, found.control) == (Result.DIFFERENT, Control.CAUGHT)
        constants = [line.split(": ")[1] for line in found.detail if ": constant " in line]
        assert constants
        assert all("_position__" in name for name in constants)
        assert all(" elements differ" in line for line in found.detail if ": constant " in line)
    else:
        assert found.result is Result.NOT_RUN
