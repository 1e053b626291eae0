"""Scores are read as they were written, and nothing else is."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.listening.score_files import MAXIMUM_BYTES, read_scores
from htdemucs_coreml.songs.quality import SongScore, StemScore
from htdemucs_coreml.songs.quality_tables import json_text

DECIBELS = st.floats(-200, 200) | st.sampled_from([math.inf, -math.inf])
STEM_SCORES = st.builds(
    StemScore,
    snr_db=st.none() | DECIBELS,
    si_sdr_db=st.none() | DECIBELS,
    sdr_db=st.none() | DECIBELS,
    # Of silence, too, it is finite; minus infinity is that of NaN.
    global_sdr_db=st.floats(-200, 200) | st.just(-math.inf),
    leakage_db=st.none() | DECIBELS,
    maximum_error=st.floats(0, 2) | st.just(math.inf),
)
SCORES = st.builds(SongScore, st.text(), st.dictionaries(st.text(), STEM_SCORES, min_size=1, max_size=3))
ONE = SongScore("song", {"drums": StemScore(1.0, 2.0, None, 3.0, None, 0.5)})


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SCORES, max_size=3, unique_by=lambda score: score.song))
def test_what_was_written_is_read(tmp_path: Path, scores: list[SongScore]) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json_text(scores), encoding="utf-8")
    assert list(read_scores(path)) == scores


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "has no scores by song and stem"),
        (b'{"songs": {"song": 1}}', "has no scores by song and stem"),
        (b" " * (MAXIMUM_BYTES + 1), "has more than 16 MB"),
    ],
    ids=["cut", "not text", "deep", "list", "no stems", "large"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(content)
    with pytest.raises(ListeningError, match=message):
        read_scores(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("snr_db"), "the scores of song, drums are not snr_db"),
        (lambda row: row.update(more=1), "the scores of song, drums are not snr_db"),
        (lambda row: row.update(snr_db="1"), "snr_db of song, drums is '1', not a number"),
        (lambda row: row.update(snr_db=[1]), r"snr_db of song, drums is \[1\], not a number"),
        (lambda row: row.update(snr_db=True), "snr_db of song, drums is True"),
        (lambda row: row.update(global_sdr_db=None), "global_sdr_db of song, drums is None"),
        (lambda row: row.update(snr_db=math.nan), "snr_db of song, drums is nan"),
        (lambda row: row.update(snr_db=10**400), "snr_db of song, drums is"),
    ],
)
def test_a_figure_that_is_none_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = json.loads(json_text([ONE]))
    change(content["songs"]["song"]["drums"])
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ListeningError, match=message):
        read_scores(path)
