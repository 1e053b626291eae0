"""Folders among the inputs stand for the audio files in them, and what is left out is told."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile

from fake_cores import FakeCore, gains_core
from htdemucs_coreml import backends
from htdemucs_coreml.cli import main
from htdemucs_coreml.cli.songs import AUDIO_SUFFIXES, find_songs
from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE

ELSEWHERE = Path("/nonexistent/out")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def places(*inputs: Path, output: Path = ELSEWHERE) -> list[str]:
    return [str(song.place) for song in find_songs(inputs, output).songs]


def test_audio_files_of_a_folder_are_found_in_order_and_keep_their_sub_folders(tmp_path: Path) -> None:
    make(tmp_path, "b.wav", "a.mp3", "z/1.flac", "c/deep/x.ogg", "c/song.wav", "song.WAV")
    assert places(tmp_path) == ["a", "b", "song", "c/song", "c/deep/x", "z/1"]


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
def test_a_file_is_audio_by_its_suffix_in_small_or_capital_letters(tmp_path: Path, suffix: str) -> None:
    make(tmp_path, f"a{suffix}", f"b{suffix.upper()}")
    assert places(tmp_path) == ["a", "b"]


def test_what_is_left_out_is_told_in_one_note_and_hidden_files_only_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "._a.wav", ".hidden/b.wav", "cover.jpg", "band/notes.txt", "out/a/drums.wav")
    (tmp_path / "link").symlink_to(tmp_path / "band")
    found = find_songs([tmp_path], tmp_path / "out")
    assert [song.place for song in found.songs] == [Path("a")]
    assert found.note == (
        "left out of the folders: 2 hidden, 1 linked folder, 2 of other suffixes, 1 output folder "
        f"({tmp_path}/cover.jpg, {tmp_path}/link, {tmp_path}/out, {tmp_path}/band/notes.txt)"
    )


def test_only_some_of_many_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", *(f"{number}.txt" for number in range(9)))
    note = find_songs([tmp_path], ELSEWHERE).note
    assert note is not None
    assert "9 of other suffixes" in note
    assert note.endswith("4.txt, …)")


def test_without_anything_left_out_there_is_no_note(tmp_path: Path) -> None:
    assert find_songs([make(tmp_path, "a.wav")], ELSEWHERE).note is None


def test_a_given_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, ".hidden.wav", "noise.bin")
    assert places(tmp_path / ".hidden.wav", tmp_path / "noise.bin") == [".hidden", "noise"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    make(tmp_path, "a/song.wav")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "given").symlink_to(tmp_path / "a")
    assert places(tmp_path) == ["a/song"]
    assert places(tmp_path / "given") == ["song"]


def test_a_link_to_a_file_is_taken_and_one_that_leads_nowhere_fails_as_an_input(tmp_path: Path) -> None:
    make(tmp_path, "store/x.wav", "music/a.wav")
    (tmp_path / "music" / "b.wav").symlink_to(tmp_path / "store" / "x.wav")
    (tmp_path / "music" / "c.wav").symlink_to("nowhere.wav")
    assert places(tmp_path / "music") == ["a", "b", "c"]


def test_a_very_deep_folder_is_searched(tmp_path: Path) -> None:
    depth = 1100
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
        Path("song.wav").touch()
    finally:
        os.chdir(here)
    assert len(places(tmp_path)[0].split("/")) == depth + 1
    # Too deep for Python's own.
    subprocess.run(["/bin/rm", "-r", tmp_path / "d"], check=True)


def test_files_of_one_folder_that_differ_in_their_suffix_keep_it(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "a.flac", "b.wav", "sub/a.wav")
    assert places(tmp_path) == ["a.flac", "a.wav", "b", "sub/a"]


def test_a_file_that_is_given_beside_its_folder_is_taken_once(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "b.wav")
    assert places(tmp_path / "b.wav", tmp_path) == ["b", "a"]
    assert places(tmp_path, tmp_path) == ["a", "b"]


@pytest.mark.parametrize("names", [("one/a.wav", "two/a.wav"), ("one/a.wav", "two/A.mp3")])
def test_two_folders_with_songs_of_one_name_are_wrong_usage(tmp_path: Path, names: tuple[str, str]) -> None:
    make(tmp_path, *names)
    with pytest.raises(click.UsageError, match="the same folder of stems"):
        find_songs([tmp_path / "one", tmp_path / "two"], ELSEWHERE)


def test_a_folder_without_audio_is_a_failed_input(tmp_path: Path) -> None:
    make(tmp_path, "empty/readme.txt")
    ((path, error),) = find_songs([tmp_path / "empty"], ELSEWHERE).failures
    assert path == tmp_path / "empty"
    assert str(error) == f"{path}: there are no audio files in this folder"


def test_a_sub_folder_that_cannot_be_read_is_a_failed_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.wav", "theirs/b.wav")
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "theirs":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_songs([tmp_path], ELSEWHERE)
    assert [song.place for song in found.songs] == [Path("a")]
    ((path, error),) = found.failures
    assert str(error) == f"{path}: the folder cannot be read: Permission denied"


def test_stems_of_an_earlier_run_are_no_songs(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "a/drums.wav", "a/mine.wav")
    (tmp_path / "a" / RECORD_FILE).write_text(json.dumps({"stems": {"drums.wav": "0"}}))
    assert places(tmp_path, output=tmp_path) == ["a", "a/mine"]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    core = gains_core({"drums": 0.5, "bass": 0.25}, 441_000)
    monkeypatch.setattr(backends, "load_backend", lambda *_, **__: core)
    return core


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    for number, name in enumerate(("a.wav", "band/a.wav")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * np.random.default_rng(number).standard_normal((4_410, 2))
        soundfile.write(folder / name, samples.astype(np.float32), 44_100, subtype="FLOAT")
    return folder


class Batch:
    """Runs ``separate`` on a folder."""

    def __init__(self, music: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._arguments = ["separate", str(music), "-o", str(output), "--package", "p"]
        self._capsys = capsys

    def __call__(self, *options: str) -> tuple[object, list[str], str]:
        with pytest.raises(SystemExit) as exited:
            main([*self._arguments, *options])
        out, err = self._capsys.readouterr()
        return exited.value.code, out.splitlines(), err

    def events(self, *options: str) -> list[str]:
        _, lines, _ = self("--json", "--quiet", *options)
        return [json.loads(line)["event"] for line in lines]


@pytest.fixture
def batch(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Batch:
    return Batch(music, tmp_path / "out", capsys)


@pytest.mark.usefixtures("core")
def test_the_output_mirrors_the_sub_folders(batch: Batch, tmp_path: Path) -> None:
    code, lines, err = batch()
    assert (code, err) == (0, "")
    assert [line.split(": ")[0].split(" -> ")[1] for line in lines] == [f"{tmp_path}/out/a", f"{tmp_path}/out/band/a"]
    assert (tmp_path / "out/band/a/drums.wav").is_file()


def test_what_is_there_is_skipped_and_told(batch: Batch, core: FakeCore, music: Path, tmp_path: Path) -> None:
    batch()
    predictions = core.predictions
    code, lines, err = batch("--resume")
    assert (code, err, core.predictions) == (0, "", predictions)
    assert lines[0] == f"{music}/a.wav -> {tmp_path}/out/a: already there, skipped"
    assert batch.events("--resume") == ["skipped", "skipped", "summary"]
    assert batch("--resume", "--quiet") == (0, [], "")
    assert batch.events() == ["done", "done", "summary"]


def change_input(music: Path, _: Path) -> None:
    samples, rate_hz = soundfile.read(music / "a.wav", dtype="float32")
    samples[0] += 0.25
    soundfile.write(music / "a.wav", samples, rate_hz, subtype="FLOAT")


def change_stem(_: Path, stems: Path) -> None:
    content = bytearray((stems / "bass.wav").read_bytes())
    content[-1] ^= 1
    (stems / "bass.wav").write_bytes(content)


def cut_stem(_: Path, stems: Path) -> None:
    (stems / "bass.wav").write_bytes((stems / "bass.wav").read_bytes()[:-1])


def remove_stem(_: Path, stems: Path) -> None:
    (stems / "bass.wav").unlink()


def link_stem(music: Path, stems: Path) -> None:
    (stems / "bass.wav").rename(music.parent / "elsewhere.wav")
    (stems / "bass.wav").symlink_to(music.parent / "elsewhere.wav")


def remove_record(_: Path, stems: Path) -> None:
    (stems / RECORD_FILE).unlink()


CHANGES = [change_input, change_stem, cut_stem, remove_stem, link_stem, remove_record]


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("change", CHANGES)
def test_what_differs_is_made_anew(batch: Batch, music: Path, tmp_path: Path, change: Any) -> None:
    batch()
    change(music, tmp_path / "out/a")
    assert batch.events("--resume") == ["done", "skipped", "summary"]
    assert batch.events("--resume") == ["skipped", "skipped", "summary"]


OTHER_OPTIONS = (
    "--int16",
    "--flac",
    "--stems bass",
    "--two-stems bass",
    "--overlap 0.5",
    "--clip-mode clamp",
    "--downmix",
)


@pytest.mark.parametrize("options", [options.split() for options in OTHER_OPTIONS], ids=OTHER_OPTIONS)
def test_other_options_make_anew(batch: Batch, core: FakeCore, options: list[str]) -> None:
    del core
    batch()
    assert batch.events("--resume", *options) == ["done", "done", "summary"]
    assert batch.events("--resume", *options) == ["skipped", "skipped", "summary"]


def test_another_package_makes_anew(batch: Batch, core: FakeCore) -> None:
    batch()
    core.identity = "another"
    assert batch.events("--resume") == ["done", "done", "summary"]


@pytest.mark.usefixtures("core")
def test_a_default_that_is_spelled_out_is_the_same_option(batch: Batch) -> None:
    batch()
    assert batch.events("--resume", "--float32", "--clip-mode", "none") == ["skipped", "skipped", "summary"]


@pytest.mark.usefixtures("core")
def test_a_batch_into_its_own_folder_takes_the_same_songs_again(
    music: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = Batch(music, music, capsys)
    assert batch.events("--resume") == ["done", "done", "summary"]
    assert batch.events("--resume") == ["skipped", "skipped", "summary"]


@pytest.mark.usefixtures("core")
def test_files_and_folders_together_with_one_that_fails(batch: Batch, music: Path, tmp_path: Path) -> None:
    shutil.copy(music / "a.wav", tmp_path / "single.wav")
    (music / "bad.wav").write_text("no audio")
    code, lines, err = batch(str(tmp_path / "single.wav"))
    assert code == 1
    assert len(lines) == 3
    assert err.splitlines()[-1] == "3 of 4 inputs were separated, 1 failed"
    code, _, err = batch(str(tmp_path / "single.wav"), "--resume")
    assert code == 1
    assert err.splitlines()[-1] == "0 of 4 inputs were separated, 3 skipped, 1 failed"
