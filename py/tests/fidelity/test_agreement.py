import math
from dataclasses import replace

import pytest

from fidelity_figures import CONDITIONS, package_figures, results, signal_figures
from htdemucs_coreml.fidelity.agreement import disagreements
from htdemucs_coreml.fidelity.results import PackageFigures

BEFORE = results({"mixed-7_8s": package_figures()})


def compared(now: PackageFigures, before: PackageFigures | None = None) -> list[str]:
    earlier = BEFORE if before is None else results({"mixed-7_8s": before})
    return list(disagreements(results({"mixed-7_8s": now}), earlier))


def test_the_same_figures_agree() -> None:
    silent = package_figures(silence_dbfs=-math.inf, snr_db=(math.inf, math.inf))
    assert compared(package_figures()) == []
    assert compared(silent, silent) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sha256": "e" * 64}, f"sha256 is {'e' * 64}; the data say {'b' * 64}"),
        ({"casts": 40}, "casts is 40; the data say 39"),
        ({"bytes": 1}, "bytes is 1; the data say 67100000"),
        ({"finite": False}, "finite is False; the data say True"),
        ({"pessimistic_db": 40.0}, "pessimistic_db is 40.0 dB; the data say 41.2 dB"),
        ({"silence_dbfs": -200.0}, "silence_dbfs is -200.0 dB; the data say -inf dB"),
        ({"weights_snr_db": math.nan}, "weights_snr_db is nan dB; the data say 75.5 dB"),
        ({"largest_float16": 6550.0}, "headroom is 20.0 dB; the data say 40.0 dB"),
    ],
)
def test_a_figure_that_changed_is_named_with_both_values(changes: dict[str, object], line: str) -> None:
    assert compared(package_figures(**changes)) == [f"mixed-7_8s: {line}"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("signal", "tolerance"), [("music", 1.0), ("click", 10.0)])
def test_levels_may_differ_by_the_tolerance_and_no_more(signal: str, tolerance: float) -> None:
    for change, agrees in ((tolerance - 0.01, True), (tolerance + 0.01, False)):
        moved = package_figures(signals={signal: signal_figures((70.25 - change, 72.5))})
        assert (compared(moved) == []) is agrees


def test_errors_are_compared_as_levels() -> None:
    for factor, agrees in ((1.11, True), (1.13, False)):
        columns = replace(signal_figures(), maximum_error=(factor * 1.62e-3, 0.0))
        assert (compared(package_figures(signals={"quiet": columns})) == []) is agrees


def test_what_was_measured_only_once_is_named() -> None:
    assert list(disagreements(results({}), BEFORE)) == ["mixed-7_8s was measured only before"]
    assert list(disagreements(BEFORE, results({}))) == ["mixed-7_8s was measured only now"]
    studied = results(dict(BEFORE.packages), {"mixed-7_8s": package_figures()})
    assert list(disagreements(studied, BEFORE)) == ["attention in float32, mixed-7_8s was measured only now"]


def test_figures_under_other_conditions_are_not_compared() -> None:
    other = replace(BEFORE, conditions=replace(CONDITIONS, seed=3))
    (line,) = disagreements(other, BEFORE)
    assert line.startswith("measured under")
