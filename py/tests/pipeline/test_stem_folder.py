"""A folder of outputs appears whole or not at all."""

from pathlib import Path

import pytest

from htdemucs_coreml.pipeline.stem_folder import OutputError, staged_folder


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
