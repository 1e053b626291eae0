"""What ``separate`` prints where: into files, pipes and terminals, and where nobody reads."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from documented_events import documented_events
from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE
from separations import Server, run, separation_server, tree


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


HOSTILE_NAMES = [
    pytest.param("a\x1b[2Jb.wav", id="escape"),
    pytest.param("a\x07b.wav", id="bell"),
    pytest.param("a\x9b2Jb.wav", id="C1"),
    pytest.param("a\nerror: b.wav", id="line break"),
    pytest.param("a\rb.wav", id="carriage return"),
    pytest.param("a\u2028b.wav", id="line separator"),
    pytest.param("a\u202eb.wav", id="right to left"),
]


def lines(printed: str) -> list[str]:
    """The lines of what was printed, in which nothing is that a terminal would act on."""
    assert printed.endswith("\n")
    found = printed.removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in found)
    return found


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_control_character_is_printed_whatever_a_file_is_called(
    server: Server, song: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    hostile = song.rename(folder / name)
    (folder / f"{name}.txt").touch()
    escaped = name.encode("unicode_escape").decode()
    # Each event is one line of output, but for --json, and the file that is left out is one line of notes.
    for options, told in (([], "drums.wav bass.wav"), (["--resume"], "already there, skipped"), (["--json"], '"done"')):
        (answer,) = server(run(folder, tmp_path / "out", *options))
        assert answer["status"] == 0
        results = lines(answer["output"])
        assert told in " ".join(results)
        if "--json" not in options:
            (result,), (note,) = results, lines(answer["errors"])
            assert result.startswith(f"{folder}/{escaped} -> {tmp_path}/out/{escaped.removesuffix('.wav')}: ")
            assert note == f"note: left out of the folders: 1 of other suffixes ({folder}/{escaped}.txt)"
    hostile.write_text("no audio")
    (answer,) = server(run(hostile, tmp_path / "out"))
    assert answer["status"] == 1
    assert len(lines(answer["errors"])) == 1


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_control_character_is_printed_in_what_is_wrong_usage(
    server: Server, song: Path, tmp_path: Path, name: str
) -> None:
    first, second = (tmp_path / folder / name for folder in ("one", "two"))
    for path in (first, second):
        path.parent.mkdir()
        shutil.copy(song, path)
    request = run(first, tmp_path / "out")
    (answer,) = server({**request, "arguments": [str(second), *request["arguments"]]})
    assert answer["status"] == 2
    assert "same folder of stems" in lines(answer["errors"])[-1]


def test_ordinary_names_are_printed_as_they_are(server: Server, song: Path, tmp_path: Path) -> None:
    name = "Grüße 曲\u3000名 \u00a0 👩\u200d🎤 \\x.wav"
    (answer,) = server(run(song.rename(tmp_path / name), tmp_path / "out"))
    assert answer["output"].startswith(f"{tmp_path}/{name} -> {tmp_path}/out/{name.removesuffix('.wav')}: ")


def test_every_event_is_documented_with_what_it_holds(separate: Any, song: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "bad.wav").write_text("no audio")
    seen: dict[str, set[str]] = {}
    for options in (["--json"], ["--json", "--resume"]):
        for line in separate(*options, path=song.parent)["output"].splitlines():
            event = json.loads(line)
            seen[event["event"]] = event.keys() - {"event"}
    assert seen == documented_events("separate.md")


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
