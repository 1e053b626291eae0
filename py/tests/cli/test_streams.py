"""What ``separate`` prints where: into files, pipes and terminals, and where nobody reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE
from separations import Server, run, separation_server, tree

CONTROL_CHARACTER = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
EVENTS_TABLE = Path(__file__).parents[3] / "docs" / "separate.md"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with separation_server() as server:
        yield server


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal((30_000, 2))
    soundfile.write(path, samples.astype(np.float32), 44_100, subtype="FLOAT")
    return path


@pytest.fixture
def separate(server: Server, song: Path, tmp_path: Path) -> Any:
    def separated(*options: str, path: Path = song, streams: str = "files") -> dict[str, Any]:
        (answer,) = server(run(path, tmp_path / "out", *options, streams=streams))
        return answer

    return separated


def test_no_progress_goes_into_files_and_pipes(separate: Any, song: Path, tmp_path: Path) -> None:
    answer = separate()
    assert (answer["status"], answer["errors"]) == (0, "")
    assert re.fullmatch(f"{song} -> {tmp_path}/out/song: drums.wav bass.wav \\([0-9.]+ s\\)\n", answer["output"])


def test_a_terminal_shows_a_bar_that_vanishes(separate: Any) -> None:
    answer = separate(streams="terminal")
    assert answer["status"] == 0
    assert "song.wav" in answer["errors"]
    assert "/5" in answer["errors"]
    assert answer["errors"].split("\r")[-1] == ""


def test_quiet_shows_no_bar_on_a_terminal(separate: Any) -> None:
    answer = separate("--quiet", streams="terminal")
    assert (answer["status"], answer["output"], answer["errors"]) == (0, "", "")


def test_no_control_character_is_printed_whatever_a_file_is_called(separate: Any, song: Path) -> None:
    hostile = song.with_name("a\x1b[2J\nb.wav")
    song.rename(hostile)
    for options in ([], ["--json"], ["--resume"]):
        answer = separate(*options, path=hostile)
        assert answer["status"] == 0
        assert not CONTROL_CHARACTER.search(answer["output"] + answer["errors"])
    hostile.write_text("no audio")
    answer = separate(path=hostile)
    assert answer["status"] == 1
    assert len(answer["errors"].splitlines()) == 1
    assert not CONTROL_CHARACTER.search(answer["errors"])


def documented_events() -> dict[str, set[str]]:
    """The table of events in docs/separate.md: what each holds beside ``event``."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", EVENTS_TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}


def test_every_event_is_documented_with_what_it_holds(separate: Any, song: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "bad.wav").write_text("no audio")
    seen: dict[str, set[str]] = {}
    for options in (["--json"], ["--json", "--resume"]):
        for line in separate(*options, path=song.parent)["output"].splitlines():
            event = json.loads(line)
            seen[event["event"]] = event.keys() - {"event"}
    assert seen == documented_events()


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_reader_that_has_gone_ends_the_run_quietly_and_leaves_nothing_partial(
    separate: Any, tmp_path: Path, options: list[str]
) -> None:
    answer = separate(*options, streams="broken")
    assert (answer["status"], answer["errors"]) == (1, "")
    # The first line is of progress, before there are stems, or of the result, once they are whole.
    stems = [] if options else [f"out/song/{name}" for name in (RECORD_FILE, "bass.wav", "drums.wav")]
    assert sorted(tree(tmp_path)) == [*stems, "song.wav"]


def test_stems_are_whole_where_standard_streams_are_closed(separate: Any, tmp_path: Path) -> None:
    assert separate()["status"] == 0
    expected = tree(tmp_path / "out")
    for name in expected:
        (tmp_path / "out" / name).unlink()
    answer = separate(streams="closed")
    # Otherwise stems would have had their numbers.
    assert (answer["status"], answer["output"]) == (0, "nothing nothing nothing")
    assert tree(tmp_path / "out") == expected
