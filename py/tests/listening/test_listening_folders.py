"""Folders of stems become a page as they are; what does not fit together is told in one sentence."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.listening.__main__ import command
from htdemucs_coreml.listening.description import Samples
from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.listening.folders import find_songs, read_song
from htdemucs_coreml.songs.quality import score_song
from htdemucs_coreml.songs.quality_tables import json_text
from listening_reports import noise

SAMPLES = 3 * SAMPLE_RATE_HZ
STEMS = {"bass": noise(1, SAMPLES), "drums": noise(2, SAMPLES)}
NEAR = {name: stem + noise(3, SAMPLES, 0.01) for name, stem in STEMS.items()}


def _write(folder: Path, sounds: Mapping[str, Samples], suffix: str = "wav", rate_hz: int = SAMPLE_RATE_HZ) -> None:
    folder.mkdir(parents=True)
    for name, samples in sounds.items():
        subtype = "FLOAT" if suffix == "wav" else "PCM_24"
        soundfile.write(folder / f"{name}.{suffix}", samples.T, rate_hz, subtype=subtype)


@pytest.fixture
def references(tmp_path: Path) -> Path:
    _write(tmp_path / "songs" / "one", STEMS)
    (tmp_path / "songs" / "manifest.json").write_text("{}")
    (tmp_path / "songs" / "one" / "recipe.toml").write_text("")
    return tmp_path / "songs"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    _write(tmp_path / "stems" / "one", NEAR)
    return tmp_path / "stems"


def _run(*arguments: str | Path) -> str:
    """What the command says; its error where it fails."""
    outcome = CliRunner().invoke(command, [str(argument) for argument in arguments])
    return outcome.output if outcome.exception is None or outcome.exit_code == 2 else str(outcome.exception)


def test_a_song_is_read_and_scored_whole_and_heard_in_part(references: Path, result: Path) -> None:
    (files,) = find_songs(references, {"near": result})
    song, scores = read_song(files, 1.0, {})
    start = round(song.start_seconds * SAMPLE_RATE_HZ)
    heard = slice(start, start + SAMPLE_RATE_HZ)
    assert (song.name, song.seconds) == ("one", 3.0)
    assert [stem.name for stem in song.stems] == ["bass", "drums"]
    for stem in song.stems:
        np.testing.assert_array_equal(stem.reference, STEMS[stem.name][:, heard])
        np.testing.assert_array_equal(stem.results["near"], NEAR[stem.name][:, heard])
    np.testing.assert_allclose(song.mix, (STEMS["bass"] + STEMS["drums"])[:, heard], atol=1e-7)
    tensors = ({name: torch.from_numpy(stem) for name, stem in stems.items()} for stems in (NEAR, STEMS))
    assert scores["near"] == score_song("one", *tensors)


def test_a_mix_that_is_there_is_taken(references: Path, result: Path) -> None:
    mix = noise(9, SAMPLES)
    soundfile.write(references / "one" / "mix.flac", mix.T, SAMPLE_RATE_HZ, subtype="PCM_24")
    (files,) = find_songs(references, {"near": result})
    song, _ = read_song(files, 30.0, {})
    np.testing.assert_allclose(song.mix, mix, atol=2**-22)


def test_stems_are_found_where_separating_the_mix_puts_them(references: Path, tmp_path: Path) -> None:
    _write(tmp_path / "stems" / "one" / "mix", {**NEAR, "vocals": NEAR["bass"]}, "flac")
    (files,) = find_songs(references, {"near": tmp_path / "stems"})
    assert files.results["near"] == {name: tmp_path / "stems" / "one" / "mix" / f"{name}.flac" for name in STEMS}


def test_the_command_makes_the_page_and_says_where(references: Path, result: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = _run(references, f"near={result}", "--output", page, "--seconds", "1", "--title", "A & B", "--note", "C < D")
    assert said.startswith("1 song, ")
    assert said.rstrip().endswith(str(page))
    text = page.read_text()
    assert "<h1>A &amp; B</h1>" in text
    assert "<p>C &lt; D</p>" in text
    assert "near" in text


def test_known_scores_take_the_place_of_computed_ones(references: Path, result: Path, tmp_path: Path) -> None:
    other = score_song(
        "one",
        {name: torch.from_numpy(stem) for name, stem in NEAR.items()},
        {name: torch.from_numpy(stem + noise(4, SAMPLES, 1.0)) for name, stem in STEMS.items()},
    )
    scores = tmp_path / "scores.json"
    scores.write_text(json_text([other]))
    page = tmp_path / "page.html"
    _run(references, result, "-o", page, "--seconds", "1", "--scores", f"stems={scores}")
    assert f"{other.stems['bass'].si_sdr_db:.1f} dB" in page.read_text().replace("\N{MINUS SIGN}", "-")

    content = json.loads(scores.read_text())
    content["songs"] = {"two": content["songs"]["one"]}
    scores.write_text(json.dumps(content))
    assert "lack the song one" in _run(references, result, "-o", page, "--scores", f"stems={scores}")


def test_wrong_usage_is_told(references: Path, result: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert "is not in the range 1<=x<=30" in _run(references, result, "-o", page, "--seconds", "31")
    assert "two results called stems" in _run(references, result, result, "-o", page)
    assert "has to be NAME=PATH" in _run(references, "=x", "-o", page)
    assert "none of the results" in _run(references, result, "-o", page, "--scores", "other=x.json")
    assert "give NAME=FILE" in _run(references, result, "-o", page, "--scores", "x.json")
    assert not page.exists()


@pytest.mark.parametrize(
    ("sounds", "rate_hz", "message"),
    [
        ({"bass": NEAR["bass"]}, SAMPLE_RATE_HZ, r"one: the result near lacks stems .* bass, drums"),
        (
            {**NEAR, "drums": NEAR["drums"][:1]},
            SAMPLE_RATE_HZ,
            r"drums\.wav has 1 channels at 44100 Hz; a page takes 2",
        ),
        (NEAR, 48000, r"bass\.wav has 2 channels at 48000 Hz; a page takes 2 at 44100 Hz"),
        ({**NEAR, "drums": NEAR["drums"][:, 1:]}, SAMPLE_RATE_HZ, r"drums\.wav has 132299 samples .* 132300"),
    ],
)
def test_a_result_that_does_not_fit_is_refused(
    references: Path, tmp_path: Path, sounds: Mapping[str, Samples], rate_hz: int, message: str
) -> None:
    _write(tmp_path / "stems" / "one", sounds, rate_hz=rate_hz)
    with pytest.raises(ListeningError, match=message):
        for files in find_songs(references, {"near": tmp_path / "stems"}):
            read_song(files, 1.0, {})


def test_references_that_are_none_are_refused(references: Path, result: Path, tmp_path: Path) -> None:
    with pytest.raises(ListeningError, match="there are no folders of stems"):
        find_songs(references / "one", {"near": result})
    with pytest.raises(ListeningError, match="missing: the folder cannot be read: No such file"):
        find_songs(tmp_path / "missing", {"near": result})
    soundfile.write(references / "one" / "bass.flac", STEMS["bass"].T, SAMPLE_RATE_HZ)
    with pytest.raises(ListeningError, match=r"one has both bass\.flac and bass\.wav; remove one"):
        find_songs(references, {"near": result})
