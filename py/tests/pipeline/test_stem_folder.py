"""A folder of outputs appears whole or not at all."""

import fcntl
from pathlib import Path

import pytest

from htdemucs_coreml.pipeline.folder_lock import LOCK_FILE
from htdemucs_coreml.pipeline.stem_folder import (
    RECORD_FILE,
    OutputError,
    remove_leftovers,
    require_usable,
    staged_folder,
)


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_appear_at_the_end_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "song"
    with staged_folder(target) as staging:
        (staging / "drums.wav").write_text("drums")
        (staging / "bass.wav").write_text("bass")
        assert not target.exists()
    assert everything_in(tmp_path) == ["a", "a/b", "a/b/song", "a/b/song/bass.wav", "a/b/song/drums.wav"]
    assert (target / "drums.wav").read_text() == "drums"


def test_in_a_folder_that_is_there_files_of_the_same_name_are_replaced_and_others_kept(tmp_path: Path) -> None:
    target = tmp_path / "song"
    target.mkdir()
    (target / "drums.wav").write_text("old")
    (target / "notes.txt").write_text("mine")
    with staged_folder(target) as staging:
        (staging / "drums.wav").write_text("new")
    assert everything_in(tmp_path) == ["song", "song/drums.wav", "song/notes.txt"]
    assert (target / "drums.wav").read_text() == "new"
    assert (target / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existing", [False, True])
def test_on_failure_nothing_is_left_or_changed(tmp_path: Path, error: type[BaseException], existing: bool) -> None:
    target = tmp_path / "a" / "b" / "song"
    if existing:
        target.mkdir(parents=True)
        (target / "drums.wav").write_text("old")
    before = everything_in(tmp_path)
    with pytest.raises(error), staged_folder(target) as staging:
        (staging / "drums.wav").write_text("half")
        raise error
    assert everything_in(tmp_path) == before
    assert not existing or (target / "drums.wav").read_text() == "old"


def test_the_folder_has_the_rights_of_any_new_folder(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "song") as staging:
        (staging / "drums.wav").touch()
    (tmp_path / "ordinary").mkdir()
    assert (tmp_path / "song").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("below", ["file/song", "file/deeper/song", "file"])
def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="the stems could not be written"), staged_folder(tmp_path / below) as staging:
        (staging / "drums.wav").touch()
    assert everything_in(tmp_path) == ["file"]


def test_an_error_of_writing_is_told_with_the_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"song: the stems could not be written: No space left"),
        staged_folder(tmp_path / "song"),
    ):
        raise OSError(28, "No space left on device")


def test_a_folder_that_a_link_leads_to_takes_the_files_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "real").mkdir(parents=True)
    (tmp_path / "song").symlink_to("elsewhere/real")
    with staged_folder(tmp_path / "song") as staging:
        # Beside the real folder, which may be on another disk than the link.
        assert staging.is_relative_to(tmp_path / "elsewhere")
        (staging / "drums.wav").touch()
    assert everything_in(tmp_path) == ["elsewhere", "elsewhere/real", "elsewhere/real/drums.wav", "song"]


@pytest.mark.parametrize("linked", ["song", "out"])
def test_a_link_that_leads_nowhere_is_an_error_and_not_followed(tmp_path: Path, linked: str) -> None:
    target = tmp_path / "out" / "song"
    link = target if linked == "song" else target.parent
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "nowhere")
    before = everything_in(tmp_path)
    with pytest.raises(OutputError, match="link that leads nowhere"), staged_folder(target):
        pass
    assert everything_in(tmp_path) == before


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "drums.wav").symlink_to("../precious")
    with staged_folder(tmp_path / "song") as staging:
        (staging / "drums.wav").write_text("new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "song" / "drums.wav").read_text() == "new"
    assert not (tmp_path / "song" / "drums.wav").is_symlink()


def test_a_folder_in_place_of_a_stem_is_found_before_anything_is_spent(tmp_path: Path) -> None:
    (tmp_path / "song" / "drums.wav").mkdir(parents=True)
    require_usable(tmp_path / "song", ["bass.wav"])
    with pytest.raises(OutputError, match=r"song: the stems could not be written: drums.wav is a folder"):
        require_usable(tmp_path / "song", ["bass.wav", "drums.wav"])


def test_files_that_no_record_was_written_for_have_none(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / RECORD_FILE).write_text("old")
    with staged_folder(tmp_path / "song") as staging:
        (staging / "drums.wav").touch()
    assert everything_in(tmp_path) == ["song", "song/drums.wav"]


def test_what_only_looks_like_a_leftover_is_left_alone(tmp_path: Path) -> None:
    mine = [".htdemucs-coreml.backup", ".htdemucs-coreml.abcdefgh", "x.htdemucs-coreml.abcdefgh.partial"]
    for name in mine:
        (tmp_path / name).mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / ".htdemucs-coreml.abcdefgh.partial").symlink_to("precious")
    (tmp_path / ".htdemucs-coreml.abcdefg0.partial").mkdir()
    with staged_folder(tmp_path / "song") as staging:
        (staging / "drums.wav").touch()
    left = sorted([*mine, ".htdemucs-coreml.abcdefgh.partial", "precious", "song"])
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_lock_that_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).touch()
    remove_leftovers(tmp_path)
    assert everything_in(tmp_path) == []


def test_a_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(OutputError, match="could not be written: Operation not supported"),
        staged_folder(tmp_path / "song"),
    ):
        pass
