"""Batches that are killed, interrupted, resumed or run twice at once end with the files of an undisturbed run."""

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE
from separations import Server, Tree, run, separation_server, tree


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with separation_server() as server:
        yield server


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs of one name, one of them in a sub-folder."""
    folder = tmp_path_factory.mktemp("songs") / "music"
    for number, path in enumerate((folder / "song.wav", folder / "band" / "song.wav")):
        path.parent.mkdir(exist_ok=True, parents=True)
        samples = 0.1 * np.random.default_rng(number).standard_normal((3000, 2))
        soundfile.write(path, samples.astype(np.float32), 44_100, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def song(music: Path) -> Path:
    return music / "song.wav"


def is_temporary(name: str) -> bool:
    return ".partial/" in name or name.endswith(".lock")


def undisturbed(server: Server, music: Path, folder: Path, gain: float = 0.5) -> tuple[Tree, int]:
    (answer,) = server(run(music, folder, gain=gain))
    assert answer["status"] == 0, answer
    return tree(folder), answer["steps"]


def test_an_undisturbed_batch_has_stems_and_a_record_for_each_song_and_nothing_else(
    server: Server, music: Path, tmp_path: Path
) -> None:
    files, steps = undisturbed(server, music, tmp_path / "out")
    names = ["bass.wav", "drums.wav", RECORD_FILE]
    assert sorted(files) == sorted(f"{song}/{name}" for song in ("song", "band/song") for name in names)
    # The tests below go through all steps: that there are many is what they rely on.
    assert steps >= 50


@pytest.mark.parametrize("replaced", [False, True], ids=["into nothing", "over other stems"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_ends_at_any_step_is_resumed_to_the_files_of_an_undisturbed_one(
    server: Server, song: Path, tmp_path: Path, number: int, replaced: bool
) -> None:
    expected, steps = undisturbed(server, song, tmp_path / "expected")
    other: Tree = {}
    if replaced:
        other, _ = undisturbed(server, song, tmp_path / "other", gain=0.25)
        shutil.copytree(tmp_path / "other", tmp_path / "counted")
        _, steps = undisturbed(server, song, tmp_path / "counted")
    for step in range(steps):
        output = tmp_path / f"{step}"
        if replaced:
            shutil.copytree(tmp_path / "other", output)
        (ended,) = server(run(song, output, step=step, signal=number))
        assert ended["status"] in ((-number,) if number == signal.SIGKILL else (128 + number, 0)), (step, ended)
        left = tree(output)
        visible = {name: content for name, content in left.items() if not is_temporary(name)}
        # No stem is ever partial, and a record stands beside the stems that it is of.
        assert all(content in (expected[name], other.get(name)) for name, content in visible.items()), step
        if f"song/{RECORD_FILE}" in visible or number != signal.SIGKILL:
            assert visible in (expected, other), step
        if number != signal.SIGKILL:
            assert left == visible, step
        (resumed,) = server(run(song, output, "--resume"))
        assert resumed["status"] == 0, (step, resumed)
        assert tree(output) == expected, step


def test_a_batch_that_is_ended_at_random_moments_is_resumed_to_the_files_of_an_undisturbed_one(
    server: Server, music: Path, tmp_path: Path
) -> None:
    expected, _ = undisturbed(server, music, tmp_path / "expected")
    moments = random.Random(0)  # noqa: S311 - moments, not secrets
    for attempt in range(20):
        output = tmp_path / f"{attempt}"
        number = moments.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        server(run(music, output, signal=number, after=moments.uniform(0, 0.1)))
        (resumed,) = server(run(music, output, "--resume"))
        assert resumed["status"] == 0, (attempt, resumed)
        assert tree(output) == expected, attempt


def test_two_runs_into_one_folder_both_end_well_and_the_stems_are_of_one_of_them(
    server: Server, song: Path, tmp_path: Path
) -> None:
    first, steps = undisturbed(server, song, tmp_path / "first", gain=0.5)
    second, _ = undisturbed(server, song, tmp_path / "second", gain=0.25)
    undisturbed(server, song, tmp_path / "before", gain=0.125)
    for step in range(steps + 6):
        output = tmp_path / f"{step}"
        if step % 4:
            # Files are replaced one by one.
            shutil.copytree(tmp_path / "before", output)
        # One of them pauses, at each of its steps in turn, for long enough to be overtaken.
        answers = server(run(song, output, step=step, seconds=0.1), run(song, output, gain=0.25))
        assert [answer["status"] for answer in answers] == [0, 0], (step, answers)
        assert tree(output) in (first, second), step


def test_what_a_live_run_has_staged_is_left_alone_and_what_a_dead_one_left_is_removed(
    server: Server, song: Path, tmp_path: Path
) -> None:
    expected, steps = undisturbed(server, song, tmp_path / "expected")
    removed = 0
    for step in range(0, steps, 4):
        output = tmp_path / f"{step}"
        server(run(song, output, step=step, signal=signal.SIGKILL))
        removed += any(is_temporary(name) for name in tree(output))
        answers = server(run(song, output, step=step, seconds=0.1), run(song, output))
        assert [answer["status"] for answer in answers] == [0, 0], (step, answers)
        assert tree(output) == expected, step
    assert removed > 2
