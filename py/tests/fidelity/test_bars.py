from collections.abc import Mapping
from typing import Any

import pytest

from fidelity_figures import package_figures, results, signal_figures
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.fidelity.bars import Verdict, held_out_worst_db, shipped_bars, verdicts
from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.results import PackageFigures

VARIANT = "mixed-7_8s"


def held(figures: PackageFigures, table: Mapping[str, Any], variant: str = VARIANT) -> list[Verdict]:
    """Verdicts on a variant's own bars, without the one that every variant has on music."""
    return list(verdicts(results({variant: figures}), {variant.removesuffix("-7_8s"): table}, variants()))[1:]


def only(figures: PackageFigures, table: Mapping[str, Any]) -> Verdict:
    (verdict,) = held(figures, table)
    return verdict


def test_shipped_bars_are_of_known_kinds_and_for_known_variants() -> None:
    shipped = shipped_bars()
    names = {name + "-7_8s": package_figures() for name in shipped}
    assert {verdict.variant for verdict in verdicts(results(names), shipped, variants())} == set(names)


def test_the_bars_of_mixed_and_float32_are_those_that_were_set() -> None:
    shipped = shipped_bars()
    assert shipped["float32"]["worst_stem_db"] == 110
    assert shipped["float32"]["float64_loss_db"]["music"] == 1
    assert {"worst_stem_db": 60, "float16_share": 0.85} in shipped["mixed"]["either"]
    assert shipped["mixed"]["megabytes"] == 75


def test_every_variant_has_the_floor_of_its_own_on_music() -> None:
    floor = variants()[VARIANT].stem_floor_db
    assert floor is not None
    for worst, holds in ((floor, True), (floor - 0.01, False)):
        figures = package_figures(signals={"music": signal_figures((worst, 100.0))})
        (verdict,) = verdicts(results({VARIANT: figures}), {}, variants())
        assert verdict.holds is holds
        assert verdict.bar == f"worst stem of music >= {floor:g} dB"


def test_the_click_does_not_count_and_every_other_signal_does() -> None:
    assert held_out_worst_db(package_figures(signals={"click": signal_figures((1.0, 2.0))})) == 70.25
    assert held_out_worst_db(package_figures(signals={"quiet": signal_figures((90.0, 2.0))})) == 2.0


@pytest.mark.parametrize(
    ("table", "reaches", "misses"),
    [
        ({"worst_stem_db": 70.25}, {}, {"snr_db": (70.24, 90.0)}),
        ({"worst_stem_db": 70.25}, {}, {"snr_db": (float("nan"), 90.0)}),
        ({"float16_share": 0.85}, {}, {"float16_share": 0.8499}),
        ({"megabytes": 67.1}, {}, {"bytes": 67_100_001}),
        ({"finite": True}, {}, {"finite": False}),
        ({"silence_dbfs": -100}, {}, {"silence_dbfs": -100.0}),
    ],
)
def test_a_bar_is_reached_or_missed(
    table: Mapping[str, Any], reaches: Mapping[str, Any], misses: Mapping[str, Any]
) -> None:
    assert only(package_figures(**reaches), table).holds
    assert not only(package_figures(**misses), table).holds


def test_one_of_several_choices_is_enough() -> None:
    table = {"either": [{"worst_stem_db": 60, "float16_share": 0.85}, {"worst_stem_db": 70, "float16_share": 0.6}]}
    for worst, share, holds in ((60.0, 0.85, True), (60.0, 0.84, False), (70.0, 0.6, True), (69.0, 0.7, False)):
        assert only(package_figures(snr_db=(worst, 99.0), float16_share=share), table).holds is holds


def test_the_distance_from_float64_is_compared_with_pytorchs_own() -> None:
    table = {"float64_loss_db": {"music": 1, "click": 10}}
    near = signal_figures(float64_snr_db=119.0)
    music, click = held(package_figures(signals={"music": near, "click": signal_figures(float64_snr_db=109.9)}), table)
    assert (music.holds, music.figure) == (True, "+1.0 dB")
    assert not click.holds


def test_a_goal_that_is_missed_says_so_and_is_one() -> None:
    verdict = only(package_figures(), {"worst_stem_goal_db": 80})
    assert verdict.is_goal
    assert not verdict.holds


def test_a_bar_for_no_variant_is_an_error() -> None:
    with pytest.raises(FidelityError, match="there is no variant mixd-7_8s"):
        verdicts(results({}), {"mixd": {}}, variants())


@pytest.mark.parametrize("table", [{"worst_stem": 60}, {"either": [{"worst_stem": 60}]}])
def test_a_bar_of_unknown_kind_is_an_error(table: Mapping[str, Any]) -> None:
    with pytest.raises(FidelityError, match="has the bar worst_stem for mixed"):
        held(package_figures(), table)
