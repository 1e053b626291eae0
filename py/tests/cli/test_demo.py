"""The demonstration leaves a song with its stems or nothing, and tells in one line what it cannot do."""

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

from fake_cores import gains_core
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.cli.application import run
from htdemucs_coreml.demo import __main__ as demo
from htdemucs_coreml.package.lock import update_lock
from htdemucs_coreml.package.reader import read_package
from package_edits import edit_model
from small_model import SMALL_ENTRY

FILES = sorted(["song.wav", *(f"{source}.wav" for source in SMALL_ENTRY.sources)])


@pytest.fixture
def lock(small_package: Path, tmp_path: Path) -> Path:
    """A lock with the small package's digests."""
    return lock_of(small_package, tmp_path)


def lock_of(package: Path, folder: Path) -> Path:
    path = folder / "lock.json"
    path.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {}}))
    metadata = read_package(package).metadata
    name = f"mlpackages.{metadata.model}.{metadata.variant}"
    update_lock(package, name, path, folder / "contents" / f"{name}.txt")
    return path


@pytest.fixture(autouse=True)
def short_song_and_known_stems(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second, through cores that cost nothing and agree."""
    core = gains_core(dict.fromkeys(SMALL_ENTRY.sources, 0.5), 441_000)
    monkeypatch.setattr(demo, "SONG_SECONDS", 1)
    monkeypatch.setattr(demo, "InterpreterBackend", lambda _package: core)
    monkeypatch.setattr(TorchBackend, "load", lambda *_: core)


@contextmanager
def little_disk() -> Iterator[None]:
    """Let no file grow beyond some bytes that are fewer than the song's, as a full disk does.

    Around as little as possible: the limit also holds for a file that this process's own output goes to.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def demonstrate(package: Path, lock: Path, output: Path) -> object:
    arguments = ["--package", str(package), "--lock", str(lock), "--output", str(output)]
    with pytest.raises(SystemExit) as exited:
        run(demo.command, arguments, prog_name="demo")
    return exited.value.code


def test_the_song_and_its_stems_are_written_and_nothing_but_results_printed(
    small_package: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "demo"
    assert demonstrate(small_package, lock, output) == 0
    assert sorted(path.name for path in output.iterdir()) == FILES
    info = soundfile.info(output / "song.wav")
    assert (info.samplerate, info.frames, info.channels, info.subtype) == (44_100, 44_100, 2, "PCM_24")
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("dB from PyTorch") == len(SMALL_ENTRY.sources)


def test_a_stem_far_from_pytorchs_fails(
    small_package: Path,
    lock: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = gains_core(dict.fromkeys(SMALL_ENTRY.sources, 0.4), 441_000)
    monkeypatch.setattr(TorchBackend, "load", lambda *_: other)
    assert demonstrate(small_package, lock, tmp_path / "demo") == 1
    (line,) = capsys.readouterr().err.splitlines()
    reason = "a stem is less than 110 dB from PyTorch, the least of its variant float32"
    assert line.startswith(f"error: {small_package} is not sound: {reason}")


@pytest.mark.parametrize(("relative_error", "code"), [(0.0005, 0), (0.002, 1)])
def test_how_far_a_stem_may_be_depends_on_the_packages_variant(
    small_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative_error: float, code: int
) -> None:
    package = tmp_path / "package" / "small.mlpackage"
    shutil.copytree(small_package, package)
    edit_model(package, lambda model: model.description.metadata.userDefined.update({"variant": "mixed"}))
    # 66 and 54 dB; `mixed` has to have 60.
    other = gains_core(dict.fromkeys(SMALL_ENTRY.sources, 0.5 * (1 + relative_error)), 441_000)
    monkeypatch.setattr(TorchBackend, "load", lambda *_: other)
    assert demonstrate(package, lock_of(package, tmp_path), tmp_path / "demo") == code


def test_a_package_that_is_not_in_the_lock_is_one_line(
    small_package: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {}}))
    assert demonstrate(small_package, lock, tmp_path / "demo") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {lock} has no entry mlpackages.fixture.")
    assert not (tmp_path / "demo").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(
    small_package: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    with little_disk():
        assert demonstrate(small_package, lock, tmp_path / "demo") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {tmp_path / 'demo'}: the stems could not be written: File too large"
    assert sorted(tmp_path.iterdir()) == before
