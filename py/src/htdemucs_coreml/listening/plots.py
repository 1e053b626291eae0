"""Charts of a page: a row for each stem or song, a mark for each result."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from htdemucs_coreml.charts import chart_file

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

_INCHES = 3.4
_INCHES_A_ROW = 0.26
_MARKERS = "osD^vP"
_LEGEND_COLUMNS = 3
_LONGEST_NAME = 18


@dataclass(frozen=True)
class _Colours:
    text: str
    rule: str
    series: tuple[str, ...]


_COLOURS: Mapping[Theme, _Colours] = {
    "light": _Colours("#4a4a46", "#dcdad3", ("#2f6690", "#b8561b", "#4f7a4a", "#7a4f94", "#8c6d1f", "#5b5b5b")),
    "dark": _Colours("#b5b3ab", "#3a3936", ("#7fb2dc", "#e89a62", "#93c08d", "#bd98d6", "#d2b45c", "#b0b0b0")),
}


@dataclass(frozen=True)
class Plot:
    """A chart as SVG files, one for each colour scheme, and what it shows in words."""

    svg: Mapping[Theme, bytes]
    description: str


def dot_plot(
    title: str, rows: Sequence[str], series: Mapping[str, Sequence[Sequence[float]]], limits: tuple[float, float]
) -> Plot:
    """Draw decibels: one row a name, one mark a figure.

    Parameters
    ----------
    title : str
        What the decibels are of.
    rows : sequence of str
        Names, from top to bottom.
    series : mapping of str to sequence of sequence of float
        For each result, the figures of each row; those that are not finite are left out.
    limits : tuple of float
        The least and the greatest figure of all charts that are to be compared.
    """
    return Plot(
        {theme: _svg(title, rows, series, limits, _COLOURS[theme]) for theme in THEMES},
        f"{title}, in dB. " + "; ".join(f"{name}: {_in_words(rows, figures)}" for name, figures in series.items()),
    )


def _svg(
    title: str,
    rows: Sequence[str],
    series: Mapping[str, Sequence[Sequence[float]]],
    limits: tuple[float, float],
    colours: _Colours,
) -> bytes:
    # A lone result is named in the text beside it.
    legend_rows = math.ceil(len(series) / _LEGEND_COLUMNS) if len(series) > 1 else 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chart.svg"
        with chart_file(path, (_INCHES, 0.75 + _INCHES_A_ROW * len(rows) + 0.2 * legend_rows)) as figure:
            figure.set_facecolor("none")
            axes = figure.subplots()
            axes.set_facecolor("none")
            spread = 0.5 / max(len(series), 1)
            for at, (name, figures) in enumerate(series.items()):
                offset = (at - (len(series) - 1) / 2) * spread
                points = [
                    (value, row + offset)
                    for row, values in enumerate(figures)
                    for value in values
                    if math.isfinite(value)
                ]
                axes.scatter(
                    [value for value, _ in points],
                    [row for _, row in points],
                    s=22,
                    marker=_MARKERS[at % len(_MARKERS)],
                    color=colours.series[at % len(colours.series)],
                    alpha=0.85,
                    linewidths=0,
                    label=name,
                    zorder=3,
                )
            axes.set_title(title, color=colours.text)
            axes.set_yticks(range(len(rows)), [_shortened(name) for name in rows])
            axes.set_ylim(len(rows) - 0.4, -0.6)
            margin = max(0.06 * (limits[1] - limits[0]), 0.5)
            axes.set_xlim(limits[0] - margin, limits[1] + margin)
            axes.grid(axis="both", color=colours.rule, linewidth=0.7)
            axes.set_axisbelow(True)
            axes.tick_params(colors=colours.text, length=0)
            for spine in axes.spines.values():
                spine.set_visible(False)
            if legend_rows:
                handles, labels = axes.get_legend_handles_labels()
                figure.legend(
                    handles,
                    [_shortened(label) for label in labels],
                    loc="outside lower center",
                    frameon=False,
                    labelcolor=colours.text,
                    handletextpad=0.2,
                    columnspacing=1.2,
                    ncols=_LEGEND_COLUMNS,
                )
        return path.read_bytes()


def _in_words(rows: Sequence[str], figures: Sequence[Sequence[float]]) -> str:
    told = []
    for row, values in zip(rows, figures, strict=True):
        finite = sorted(value for value in values if math.isfinite(value))
        if len(finite) > 1:
            told.append(f"{row} {finite[0]:.1f} to {finite[-1]:.1f}")
        else:
            told.append(f"{row} {finite[0]:.1f}" if finite else f"{row} none")
    return ", ".join(told)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
