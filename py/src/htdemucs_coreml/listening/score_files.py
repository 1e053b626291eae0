"""Scores from the JSON that `htdemucs_coreml.songs.quality_tables.json_text` writes."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.songs.quality import SongScore, StemScore

MAXIMUM_BYTES = 16 << 20
_COLUMNS = tuple(field.name for field in fields(StemScore))
_ALWAYS_THERE = ("global_sdr_db", "maximum_error")


def read_scores(path: Path) -> tuple[SongScore, ...]:
    """Read a result's scores.

    Raises
    ------
    ListeningError
        If the file is too large or is not such a JSON.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise ListeningError(f"{path} has more than {MAXIMUM_BYTES >> 20} MB, which are no scores; give another file")
    try:
        table: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ListeningError(f"{path} is not JSON: {error}; give what songs/quality_tables.py writes") from None
    songs = table.get("songs") if isinstance(table, dict) else None
    if not isinstance(songs, dict) or not all(isinstance(stems, dict) for stems in songs.values()):
        raise ListeningError(f"{path} has no scores by song and stem; give what songs/quality_tables.py writes")
    return tuple(
        SongScore(song, {stem: _stem_score(path, f"{song}, {stem}", row) for stem, row in stems.items()})
        for song, stems in songs.items()
    )


def _stem_score(path: Path, place: str, row: Any) -> StemScore:
    if not isinstance(row, dict) or row.keys() != set(_COLUMNS):
        raise ListeningError(f"{path}: the scores of {place} are not {', '.join(_COLUMNS)}; write the file anew")
    figures = {column: _figure(path, place, column, row[column]) for column in _COLUMNS}
    return StemScore(**figures)  # type: ignore[arg-type]


def _figure(path: Path, place: str, column: str, value: Any) -> float | None:
    if value is None and column not in _ALWAYS_THERE:
        return None
    if value in ("inf", "-inf"):
        return float(value)
    # Compared, not converted: JSON has integers that no float holds.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    raise ListeningError(f"{path}: {column} of {place} is {value!r}, not a number; write the file anew")
