import math

import pytest

from fidelity_figures import package_figures, results, signal_figures
from htdemucs_coreml.fidelity.bars import Verdict
from htdemucs_coreml.fidelity.page import normal_palette_db, page
from htdemucs_coreml.fidelity.probes import PROBES
from htdemucs_coreml.fidelity.results import PackageFigures, Results


def section(text: str, title: str) -> list[str]:
    """Lines of a section."""
    (found,) = [part for part in text.split("\n## ") if part.startswith(title + "\n")]
    return found.splitlines()[2:]


def row(text: str, title: str, name: str) -> list[str]:
    """Cells of a section's row."""
    (line,) = [line for line in section(text, title) if line.startswith(f"| {name} |")]
    return line.strip("| ").split(" | ")[1:]


def cell(made: Results, column: str) -> str:
    """What the table of variants says of the only one."""
    text = page(made, [])
    header = section(text, "Variants")[0].strip("| ").split(" | ")
    return row(text, "Variants", "`mixed-7_8s`")[header.index(column) - 1]


def test_every_variant_has_a_figure_for_every_signal_in_every_table() -> None:
    names = ("float32-7_8s", "mixed-7_8s")
    text = page(results({name: package_figures() for name in names}), [])
    for title, figure in (
        ("Worst stem SNR in dB", "70.2"),
        ("Mean stem SNR in dB", "71.4"),
        ("SI-SDR in dB, less PyTorch's", "-0.013"),
        ("Mean relative error", "3.1e-04"),
        ("Maximum error", "1.6e-03"),
        ("Worst stem from float64, in dB", "69.0"),
    ):
        for name in names:
            assert row(text, title, f"`{name}`") == [figure] * len(PROBES)
    assert row(text, "Worst stem from float64, in dB", "float32 PyTorch") == ["120.0"] * len(PROBES)


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        ({"bytes": 20_049_999}, "MB", "20.0"),
        ({"largest_float16": 65504 / 8}, "headroom", "8"),
        ({"largest_float16": 65504 / 7.9}, "headroom", "**7.9**, flagged"),
        ({"largest_float16": 0.0}, "headroom", "-"),
        ({}, "pessimistic", "41.2"),
        ({"finite": False}, "finite", "**no**"),
        ({"silence_dbfs": -123.4}, "silence", "-123.4 dBFS"),
        ({"float16_share": 0.8521}, "float16", "85.2%"),
        ({"signals": {"click": signal_figures((1.0, 1.0))}}, "worst", "70.2"),
        ({"signals": {"quiet": signal_figures((1.0, 1.0))}}, "worst", "1.0"),
    ],
)
def test_the_table_of_variants(changes: dict[str, object], column: str, expected: str) -> None:
    assert cell(results({"mixed-7_8s": package_figures(**changes)}), column) == expected  # type: ignore[arg-type]


def test_the_smallest_package_that_reaches_a_level_is_named() -> None:
    text = page(
        results(
            {
                "large": package_figures(snr_db=(65.0, 99.0), bytes=70_000_000),
                "small": package_figures(snr_db=(61.0, 99.0), bytes=60_000_000),
                "smallest": package_figures(snr_db=(26.0, 99.0), bytes=20_000_000),
            }
        ),
        [],
    )
    lines = section(text, "Variants")
    assert "- 60 dB: `small`, 60.0 MB (61.0 dB)" in lines
    assert "- 25 dB: `smallest`, 20.0 MB (26.0 dB)" in lines
    assert "- 60 dB: none" in section(page(results({"one": package_figures(snr_db=(59.0, 59.0))}), []), "Variants")


def test_bars_that_do_not_hold_stand_out() -> None:
    made = [
        Verdict("float32-7_8s", "as near as this", "1.0 dB", True),
        Verdict("mixed-7_8s", "as small as that", "2.0 MB", False),
        Verdict("mixed-7_8s", "goal: better", "3.0 dB", False, is_goal=True),
    ]
    lines = section(page(results({"mixed-7_8s": package_figures()}), made), "What they have to reach")
    assert [line.strip("| ").split(" | ")[-1] for line in lines[2:5]] == ["yes", "**NO**", "not reached"]


@pytest.mark.parametrize(
    ("gain_db", "answer"),
    [(0.5, "less than 1 dB: its products may be float16"), (4.0, "up to 4.0 dB: where that counts")],
)
def test_the_question_of_attention_is_answered_from_figures(gain_db: float, answer: str) -> None:
    single = package_figures(snr_db=(70.25 + gain_db, 90.0), casts=87)
    text = page(results({"mixed-7_8s": package_figures()}, {"mixed-7_8s": single}), [])
    found = " ".join(section(text, "Attention in float16 or float32"))
    assert f"`mixed-7_8s` by {gain_db:+.1f} dB, on the pessimistic machine by +0.0 dB, for 48 more casts" in found
    assert answer in found


def test_a_loss_on_the_pessimistic_machine_decides_about_attention_too() -> None:
    made = results(
        {"mixed-7_8s": package_figures(pessimistic_db=40.0)}, {"mixed-7_8s": package_figures(pessimistic_db=52.0)}
    )
    found = " ".join(section(page(made, []), "Attention in float16 or float32"))
    assert "on the pessimistic machine by +12.0 dB" in found
    assert "up to 12.0 dB" in found


def test_attention_that_overflows_either_way_gains_nothing() -> None:
    overflowing = package_figures(pessimistic_db=-math.inf)
    made = results({"float16-7_8s": overflowing}, {"float16-7_8s": overflowing})
    found = " ".join(section(page(made, []), "Attention in float16 or float32"))
    assert "on the pessimistic machine by +0.0 dB" in found
    assert "its products may be float16" in found


def palette(worst_db: float) -> PackageFigures:
    return package_figures(snr_db=(worst_db, 99.0), weights_snr_db=31.0, bytes=22_600_000)


def test_what_palettes_cost_and_that_60_db_are_out_of_reach() -> None:
    made = results({"palette4-7_8s": palette(5.0), "palette6-7_8s": palette(17.0), "mixed-7_8s": package_figures()})
    lines = section(page(made, []), "Palettes")
    assert [line.strip("| ").split(" | ")[:4] for line in lines[2:4]] == [
        ["6", "22.6", "31.0", "17.0"],
        ["4", "22.6", "31.0", "5.0"],
    ]
    text = " ".join(lines)
    assert "60 dB with 6 bits, which the source design hopes for, is out of reach" in text
    assert "60 dB would take 8 more, 14 in all" in text


def test_palettes_that_reach_60_db_are_not_called_out_of_reach() -> None:
    lines = section(page(results({"palette6-7_8s": palette(61.0)}), []), "Palettes")
    assert "out of reach" not in " ".join(lines)
    assert "## Palettes" not in page(results({"mixed-7_8s": package_figures()}), [])


def test_the_best_palette_of_normal_weights_for_many_entries() -> None:
    # 8 bits by Lloyd's method on a million normal values: 43.7 dB (Max, 1960, has 26.0 dB for 5 bits).
    assert normal_palette_db(5) == pytest.approx(26.0, abs=0.3)
    assert normal_palette_db(7) - normal_palette_db(6) == pytest.approx(6.02, abs=0.01)
