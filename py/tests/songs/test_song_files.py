"""Folders of songs hold what was rendered, and say so in their manifest; the command reports what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.songs.__main__ import main
from htdemucs_coreml.songs.files import MANIFEST, samples_sha256, write_songs
from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.recipe import STEMS, Recipe, SongError, parse_recipe, recipe_text
from htdemucs_coreml.songs.rendering import render_song


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return invent(3, genre="folk", seconds=4)


@pytest.fixture(scope="module")
def folder(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "songs"
    write_songs([recipe], path)
    return path


def test_files_hold_what_was_rendered(recipe: Recipe, folder: Path) -> None:
    song = render_song(recipe)
    manifest = json.loads((folder / MANIFEST).read_text())
    entry = manifest["songs"][recipe.name]
    assert manifest["sample_rate_hz"] == SAMPLE_RATE_HZ
    assert entry["samples"] == recipe.samples
    assert set(entry["files"]) == {f"{name}.flac" for name in ("mix", *STEMS)}
    for name, expected in {"mix": song.mix, **song.stems}.items():
        path = folder / recipe.name / f"{name}.flac"
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == SAMPLE_RATE_HZ
        np.testing.assert_array_equal(samples.T, expected)
        stated = {"sha256": sha256_file(path), "samples_sha256": samples_sha256(expected)}
        assert entry["files"][path.name] == stated
    assert parse_recipe((folder / recipe.name / "recipe.toml").read_text(), "recipe.toml") == recipe


def test_a_folder_that_is_there_stays(recipe: Recipe, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(OSError, match=r".*"):
        write_songs([recipe], folder)
    assert sorted(folder.rglob("*")) == before


def test_songs_of_one_name_are_refused_and_nothing_is_left(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(SongError, match="two recipes are called"):
        write_songs([recipe, recipe], tmp_path / "songs")
    assert not list(tmp_path.iterdir())


def test_the_command_renders_seeds_and_recipes(recipe: Recipe, folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(recipe_text(recipe))
    output = tmp_path / "songs"
    arguments = ["render", "-o", str(output), "--recipe", str(mine), "--seed", "8", "--seconds", "4", "--genre", "pop"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert sorted(json.loads((output / MANIFEST).read_text())["songs"]) == ["song-3", "song-8"]
    assert sha256_file(output / "song-3" / "mix.flac") == sha256_file(folder / "song-3" / "mix.flac")


def test_the_command_lists_the_corpus_and_prints_recipes() -> None:
    listed = CliRunner().invoke(main, ["list"], catch_exceptions=False)
    assert len(listed.output.splitlines()) == 12
    printed = CliRunner().invoke(main, ["invent", "3", "--genre", "folk", "--seconds", "4"], catch_exceptions=False)
    assert parse_recipe(printed.output, "printed") == invent(3, genre="folk", seconds=4)


@pytest.mark.parametrize(
    ("arguments", "content", "reason"),
    [
        (["--song", "unheard"], b"", "no song unheard"),
        (["--seed", "1", "--seconds", "1"], b"", "ask for 4"),
        (["--recipe", "mine.toml"], b"\xff", "is not UTF-8"),
        (["--recipe", "mine.toml"], b"x" * 70_000, "is longer than"),
        (["--recipe", "mine.toml"], b"name = 3", "lacks `samples`"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], content: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_bytes(content)
    result = CliRunner().invoke(main, ["render", "-o", "songs", *arguments])
    assert isinstance(result.exception, SongError)
    assert reason in str(result.exception)
    assert not Path("songs").exists()
