"""Bars that variants have to reach, as data: ``bars.toml`` beside this file, which says what they mean."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.probes import STRESS
from htdemucs_coreml.fidelity.results import PackageFigures, Results
from htdemucs_coreml.plan_files import SHORT_SUFFIX

_KEYS = frozenset(
    {
        "worst_stem_db",
        "worst_stem_goal_db",
        "float16_share",
        "either",
        "float64_loss_db",
        "megabytes",
        "finite",
        "silence_dbfs",
    }
)
_MUSIC = "music"


@dataclass(frozen=True)
class Verdict:
    """Whether a variant reaches a bar.

    Attributes
    ----------
    variant : str
        Its name.
    bar : str
        What it has to reach.
    figure : str
        What was measured.
    holds : bool
        Whether it does.
    is_goal : bool
        Whether nothing fails if it does not.
    """

    variant: str
    bar: str
    figure: str
    holds: bool
    is_goal: bool = False


def shipped_bars() -> Mapping[str, Mapping[str, Any]]:
    """The bars that come with the package, by variant without its suffix."""
    return tomllib.loads(resources.files(__package__).joinpath("bars.toml").read_text(encoding="utf-8"))


def verdicts(
    results: Results, bars: Mapping[str, Mapping[str, Any]], variants: Mapping[str, Variant]
) -> tuple[Verdict, ...]:
    """Hold every measured variant against its bars.

    Parameters
    ----------
    results : Results
        What was measured.
    bars : Mapping
        Of ``bars.toml``.
    variants : Mapping of str to Variant
        All variants by name; each has a floor on music.

    Raises
    ------
    FidelityError
        If a bar is for no variant, or of no known kind.
    """
    for name, table in bars.items():
        if name + SHORT_SUFFIX not in variants:
            raise FidelityError(f"bars.toml has bars for {name}, but there is no variant {name}{SHORT_SUFFIX}")
        unknown = sorted({key for part in (table, *table.get("either", ())) for key in part} - _KEYS)
        if unknown:
            raise FidelityError(f"bars.toml has the bar {unknown[0]} for {name}; known are {', '.join(sorted(_KEYS))}")
    return tuple(
        verdict
        for variant, figures in results.packages.items()
        for verdict in _of_variant(results, variant, figures, bars, variants)
    )


def held_out_worst_db(figures: PackageFigures) -> float:
    """Score of the worst stem on any signal but the click."""
    return min(min(columns.snr_db) for name, columns in figures.signals.items() if name != STRESS)


def _of_variant(
    results: Results,
    variant: str,
    figures: PackageFigures,
    bars: Mapping[str, Mapping[str, Any]],
    variants: Mapping[str, Variant],
) -> Iterator[Verdict]:
    known = variants.get(variant)
    if known is not None and known.stem_floor_db is not None and _MUSIC in figures.signals:
        worst = min(figures.signals[_MUSIC].snr_db)
        bar = f"worst stem of {_MUSIC} >= {known.stem_floor_db:g} dB"
        yield Verdict(variant, bar, f"{worst:.1f} dB", worst >= known.stem_floor_db)
    table = bars.get(variant.removesuffix(SHORT_SUFFIX), {})
    yield from _of_table(results, variant, figures, table)
    if "either" in table:
        choices = [list(_of_table(results, variant, figures, choice)) for choice in table["either"]]
        bar = ", or ".join(" with ".join(verdict.bar for verdict in choice) for choice in choices)
        figure = " with ".join(verdict.figure for verdict in choices[0])
        yield Verdict(variant, bar, figure, any(all(verdict.holds for verdict in choice) for choice in choices))


def _of_table(results: Results, variant: str, figures: PackageFigures, table: Mapping[str, Any]) -> Iterator[Verdict]:
    worst, share, size = held_out_worst_db(figures), figures.float16_share, figures.bytes / 1e6
    where = f"worst stem of every signal but the {STRESS}"
    if (floor := table.get("worst_stem_db")) is not None:
        yield Verdict(variant, f"{where} >= {floor:g} dB", f"{worst:.1f} dB", worst >= floor)
    if (goal := table.get("worst_stem_goal_db")) is not None:
        yield Verdict(variant, f"goal: {where} >= {goal:g} dB", f"{worst:.1f} dB", worst >= goal, is_goal=True)
    if (least := table.get("float16_share")) is not None:
        yield Verdict(variant, f"float16 share >= {least:.0%}", f"{share:.1%}", share >= least)
    for signal, allowed in table.get("float64_loss_db", {}).items():
        loss = min(results.pytorch_float64_snr_db[signal]) - min(figures.signals[signal].float64_snr_db)
        bar = f"{signal}: at most {allowed:g} dB further from float64 than PyTorch"
        yield Verdict(variant, bar, f"{loss:+.1f} dB", loss <= allowed)
    if (most := table.get("megabytes")) is not None:
        yield Verdict(variant, f"size <= {most:.1f} MB", f"{size:.2f} MB", size <= most)
    if table.get("finite"):
        figure = "finite" if figures.finite else "not finite"
        yield Verdict(variant, "finite for inputs of magnitude 10,000", figure, figures.finite)
    if (ceiling := table.get("silence_dbfs")) is not None:
        silence = figures.silence_dbfs
        yield Verdict(variant, f"silence below {ceiling:g} dBFS", f"{silence:.0f} dBFS", silence < ceiling)
