"""Disks that are full or not to be written to, mounted in a namespace of the tests' own, which only Linux has."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE
from separations import Server, run, separation_server, tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has mount namespaces")

# A stem of one second takes 345 KiB, in pages 348, as does the spool that a change of level needs.
SIZES_KIB = {
    "tiny": 8,
    "no stem": 300,
    "one stem": 600,
    "all but the record": 696,
    "spools alone": 720,
    "enough": 8000,
}
FORMS = (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"])


class Disks:
    """A server that sees disks of its own."""

    def __init__(self, server: Server, folder: Path, song: Path) -> None:
        self._server = server
        self._folder = folder
        self._song = song

    def path(self, name: str) -> Path:
        """A disk as this process reaches it."""
        return self._server.root / str(self._folder / name).removeprefix("/")

    def separate(self, name: str, *options: str) -> dict[str, Any]:
        (answer,) = self._server(run(self._song, self._folder / name, *options))
        return answer

    def names(self, name: str) -> list[str]:
        return sorted(tree(self.path(name)))


def mount_namespace() -> list[str]:
    """What starts a program where it may mount: for root, and for ordinary users where the kernel lets them."""
    refusals = []
    for form in FORMS:
        ended = subprocess.run(
            [*form, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
        )
        if ended.returncode == 0:
            return form
        refusals.append(f"`{' '.join(form)}`: {' '.join(ended.stderr.split())}")
    pytest.fail(
        f"these tests mount disks of their own, and the system does not let them: {'; '.join(refusals)}. Allow user "
        "namespaces (kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0 by sysctl), or "
        "run the tests as root"
    )


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    folder = tmp_path_factory.mktemp("disks")
    song = folder / "song.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal((44_100, 2))
    soundfile.write(song, samples.astype(np.float32), 44_100, subtype="FLOAT")
    script = "set -e; folder=$1; shift\n"
    for name, size in {**SIZES_KIB, "read-only": 8000}.items():
        (folder / name).mkdir()
        script += f'mount -t tmpfs -o size={size}k tmpfs "$folder/{name}"\n'
    script += 'mount -o remount,ro "$folder/read-only"; exec "$@"'
    with separation_server([*mount_namespace(), "bash", "-c", script, "bash", str(folder)]) as server:
        yield Disks(server, folder, song)


def assert_failed(answer: dict[str, Any], message: str) -> None:
    assert answer["status"] == 1, answer
    (line,) = answer["errors"].splitlines()
    assert line.startswith("error: ")
    assert "/song: the stems could not be written: " in line
    assert message in line
    assert answer["output"] == ""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tiny", ""),
        ("no stem", ""),
        ("one stem", ""),
        ("all but the record", ""),
        ("no stem", "--int16"),
        ("spools alone", "--int16"),
        ("no stem", "--flac --clip-mode none"),
        ("no stem", "--flac"),
        ("spools alone", "--flac"),
        ("spools alone", "--clip-mode rescale --two-stems drums"),
    ],
)
def test_a_full_disk_is_one_line_and_nothing_partial_remains(disks: Disks, name: str, options: str) -> None:
    assert_failed(disks.separate(name, *options.split()), "No space left on device")
    assert list(disks.path(name).iterdir()) == []


def test_a_disk_with_room_takes_stems_and_record(disks: Disks) -> None:
    assert disks.separate("enough")["status"] == 0
    assert disks.names("enough") == [f"song/{RECORD_FILE}", "song/bass.wav", "song/drums.wav"]


def test_what_a_disk_held_before_it_was_full_is_still_there(disks: Disks) -> None:
    stems = disks.path("one stem") / "song"
    stems.mkdir()
    (stems / "bass.wav").write_text("old")
    try:
        assert_failed(disks.separate("one stem"), "No space left on device")
        assert tree(disks.path("one stem")) == {"song/bass.wav": b"old"}
    finally:
        (stems / "bass.wav").unlink()
        stems.rmdir()


@pytest.mark.parametrize("below", ["", "/new/deep"])
def test_a_read_only_disk_is_one_line(disks: Disks, below: str) -> None:
    assert_failed(disks.separate(f"read-only{below}"), "Read-only file system")
    assert list(disks.path("read-only").iterdir()) == []
