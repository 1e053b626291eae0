"""Scores as a table for people, as JSON and as CSV."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from htdemucs_coreml.songs.quality import SongScore, StemScore, over_songs

_TOTAL = "total"
_COLUMNS = tuple(field.name for field in fields(StemScore))
_HEADINGS = {
    "snr_db": "SNR",
    "si_sdr_db": "SI-SDR",
    "sdr_db": "SDR",
    "global_sdr_db": "global SDR",
    "leakage_db": "leakage",
    "maximum_error": "max. error",
}


def table(scores: Sequence[SongScore]) -> str:
    """A Markdown table: a row for each song and stem, then totals. Decibels have one digit, ``—`` is for no figure."""
    lines = [
        "| song | stem | " + " | ".join(_HEADINGS[column] for column in _COLUMNS) + " |",
        "| --- | --- |" + " ---: |" * len(_COLUMNS),
    ]
    for song, stem, score in _rows(scores):
        cells = (_cell(column, value) for column, value in asdict(score).items())
        lines.append(f"| {song} | {stem} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def json_text(scores: Sequence[SongScore]) -> str:
    """JSON: ``songs`` by name and stem, and ``total`` by stem. Infinities, which JSON has not, are texts: ``"inf"``."""
    content = {
        "songs": {score.song: {stem: _plain(row) for stem, row in score.stems.items()} for score in scores},
        _TOTAL: {stem: _plain(row) for stem, row in over_songs(scores).items()},
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def csv_text(scores: Sequence[SongScore]) -> str:
    """CSV with a heading: song, stem, and all figures in full; an empty field is for no figure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["song", "stem", *_COLUMNS])
    for song, stem, score in _rows(scores):
        writer.writerow([song, stem, *("" if value is None else repr(value) for value in asdict(score).values())])
    return out.getvalue()


def _rows(scores: Sequence[SongScore]) -> Iterator[tuple[str, str, StemScore]]:
    for score in scores:
        for stem, row in score.stems.items():
            yield score.song, stem, row
    for stem, row in over_songs(scores).items():
        yield _TOTAL, stem, row


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.1e}" if column == "maximum_error" else f"{value:.1f}"


def _plain(score: StemScore) -> dict[str, float | str | None]:
    return {
        column: value if value is None or math.isfinite(value) else str(value)
        for column, value in asdict(score).items()
    }
