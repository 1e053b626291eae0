"""``separate`` does what its help says, and tells in one line what it cannot do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fake_cores import FakeCore, gains_core
from htdemucs_coreml import backends
from htdemucs_coreml.backends.base import BackendError
from htdemucs_coreml.cli import main
from htdemucs_coreml.cli.progress_bar import progress_bar
from htdemucs_coreml.mil import MILError

GAINS = {"drums": 0.5, "bass": 0.25}


class Loader:
    """Stands in for `load_backend`: keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.segment_samples = 441_000
        self.error: Exception | None = None
        self.core: FakeCore | None = None

    def __call__(self, name: str, **options: Any) -> FakeCore:
        self.asked.append({"name": name, **options})
        if self.error is not None:
            raise self.error
        self.core = gains_core(GAINS, self.segment_samples)
        return self.core


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr(backends, "load_backend", loader)
    return loader


@pytest.fixture
def song(tmp_path: Path) -> Path:
    samples = 0.1 * np.random.default_rng(0).standard_normal((12_000, 2))
    path = tmp_path / "song.wav"
    soundfile.write(path, samples.astype(np.float32), 48_000, subtype="FLOAT")
    return path


class Result:
    """How a run of the tool ended, and what it printed."""

    def __init__(self, exit_code: object, out: str, err: str) -> None:
        self.exit_code = exit_code
        self.out = out
        self.err = err

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Separate = Callable[..., Result]


@pytest.fixture
def separate(capfd: pytest.CaptureFixture[str]) -> Separate:
    def run(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as exited:
            main(["separate", *map(str, arguments)])
        return Result(exited.value.code, *capfd.readouterr())

    return run


def files_in(folder: Path) -> list[str]:
    """Files that are not hidden, as records of stems are."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(str(path.relative_to(folder)) for path in files)


def test_a_song_becomes_a_folder_of_stems(loader: Loader, song: Path, tmp_path: Path, separate: Separate) -> None:
    result = separate(song, "-o", tmp_path / "out", "--package", "x.mlpackage")
    assert (result.exit_code, result.err) == (0, "")
    assert result.out.startswith(f"{song} -> {tmp_path}/out/song: drums.wav bass.wav (")
    assert files_in(tmp_path / "out") == ["song/bass.wav", "song/drums.wav"]
    info = soundfile.info(tmp_path / "out/song/drums.wav")
    assert (info.samplerate, info.frames, info.channels, info.subtype) == (48_000, 12_000, 2, "FLOAT")
    assert loader.asked == [
        {
            "name": "interpreter",
            "model": None,
            "package": Path("x.mlpackage"),
            "packages": None,
            "weights": None,
            "segment": None,
            "sha256": None,
            "stems": None,
            "variant": None,
        }
    ]


def test_without_a_model_it_says_that_the_embedded_one_does_not_separate(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate
) -> None:
    result = separate(song, "-o", tmp_path / "out")
    assert result.exit_code == 0
    (note,) = result.err.splitlines()
    assert note.startswith("note: neither --model nor --package was given")
    assert "embedded model fixture" in note
    assert "no separation" in note
    assert loader.asked[0]["model"] == "fixture"


@pytest.mark.parametrize(
    ("arguments", "segment_samples", "asked"),
    [
        (["--plan", "design"], 441_000, {"segment": "10s", "model": "fixture"}),
        (["--plan", "demucs"], 343_980, {"segment": "7.8s", "model": "fixture"}),
        (["--plan", "demucs", "--package", "p"], 343_980, {"segment": "7.8s", "model": None, "package": Path("p")}),
        (["--package", "p"], 343_980, {"segment": None}),
        (["--model", "htdemucs_6s"], 441_000, {"model": "htdemucs_6s", "segment": None}),
        (["--backend", "torch", "--weights", "w"], 441_000, {"name": "torch", "weights": Path("w")}),
        (["--model", "htdemucs_ft", "--packages", "p"], 441_000, {"model": "htdemucs_ft", "packages": Path("p")}),
        (["--stems", "bass,drums"], 441_000, {"stems": ("bass", "drums")}),
        (["--two-stems", "bass"], 441_000, {"stems": ("bass",)}),
    ],
)
def test_the_core_follows_from_the_options(
    loader: Loader,
    song: Path,
    tmp_path: Path,
    separate: Separate,
    arguments: list[str],
    segment_samples: int,
    asked: dict[str, object],
) -> None:
    loader.segment_samples = segment_samples
    assert separate(song, "-o", tmp_path / "out", *arguments).exit_code == 0
    assert asked.items() <= loader.asked[0].items()


@pytest.mark.usefixtures("loader")
def test_overlap_sets_the_number_of_segments(tmp_path: Path, separate: Separate) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros((441_000, 1), np.float32), 44_100)
    for overlap, segments in (("0", 1), ("0.5", 2), ("0.75", 4)):
        result = separate(path, "-o", tmp_path / "out", "--package", "p", "--overlap", overlap, "--json")
        assert result.exit_code == 0
        assert max(event.get("segments_total", 0) for event in result.events) == segments


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("arguments", "suffix", "subtype"),
    [
        ([], "wav", "FLOAT"),
        (["--float32"], "wav", "FLOAT"),
        (["--int24"], "wav", "PCM_24"),
        (["--int16"], "wav", "PCM_16"),
        (["--flac"], "flac", "PCM_24"),
        (["--flac", "--int24"], "flac", "PCM_24"),
        (["--flac", "--int16"], "flac", "PCM_16"),
    ],
)
def test_formats(
    song: Path,
    tmp_path: Path,
    separate: Separate,
    arguments: list[str],
    suffix: str,
    subtype: str,
) -> None:
    assert separate(song, "-o", tmp_path / "out", "--quiet", *arguments).exit_code == 0
    assert files_in(tmp_path / "out") == [f"song/bass.{suffix}", f"song/drums.{suffix}"]
    assert soundfile.info(tmp_path / f"out/song/bass.{suffix}").subtype == subtype


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--stems", "bass"], ["bass"]),
        (["--stems", "bass, drums"], ["bass", "drums"]),
        (["--two-stems", "drums"], ["drums", "no_drums"]),
    ],
)
def test_chosen_stems(song: Path, tmp_path: Path, separate: Separate, arguments: list[str], names: list[str]) -> None:
    assert separate(song, "-o", tmp_path / "out", "--quiet", *arguments).exit_code == 0
    assert files_in(tmp_path / "out") == [f"song/{name}.wav" for name in names]


WRONG_USAGE: dict[str, tuple[list[str], str]] = {
    "flac and float32": (["--flac", "--float32"], "FLAC cannot hold float32"),
    "two encodings": (["--int16", "--int24"], "--int24 and --int16 exclude each other"),
    "stems and two stems": (["--stems", "bass", "--two-stems", "bass"], "--stems and --two-stems exclude"),
    "model and package": (["--model", "fixture", "--package", "p"], "--model and --package exclude"),
    "variant and package": (["--variant", "mixed", "--package", "p"], "--variant and --package exclude"),
    "a variant with torch": (["--variant", "mixed", "--backend", "torch"], "--variant is for a backend that runs"),
    "an unknown variant": (["--variant", "float8"], "--variant"),
    "weights without torch": (["--weights", "w"], "--weights is for --backend torch"),
    "an unknown stem": (["--stems", "kazoo"], "this model separates drums, bass"),
    "a stem twice": (["--stems", "bass,bass"], "asked for twice"),
    "an empty list": (["--stems", ""], "this model separates drums, bass"),
    "an unknown two-stem": (["--two-stems", "kazoo"], "this model separates drums, bass"),
    "overlap 1": (["--overlap", "1"], "--overlap"),
    "negative overlap": (["--overlap", "-0.1"], "--overlap"),
    "overlap nan": (["--overlap", "nan"], "out of range"),
    "an unknown plan": (["--plan", "chunky"], "--plan"),
    "an unknown backend": (["--backend", "abacus"], "--backend"),
    "an unknown clip mode": (["--clip-mode", "loud"], "--clip-mode"),
    "an unknown option": (["--mp3"], "--mp3"),
    "a plan for another segment": (["--plan", "demucs", "--package", "p"], "variant mixed-7_8s"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_exits_with_2_before_any_work(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate, arguments: list[str], message: str
) -> None:
    result = separate(song, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.err.split())
    assert "Traceback" not in result.err
    assert not (tmp_path / "out").exists()
    assert loader.core is None or loader.core.predictions == 0


def test_no_input_and_no_output_are_wrong_usage(song: Path, separate: Separate) -> None:
    assert separate("-o", "out").exit_code == 2
    assert separate(song).exit_code == 2


@pytest.mark.parametrize("second", ["b/song.wav", "b/song.mp3", "b/SONG.wav"])
def test_two_inputs_of_one_name_are_refused_before_any_work(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate, second: str
) -> None:
    result = separate(song, tmp_path / second, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "the same folder of stems" in " ".join(result.err.split())
    assert loader.asked == []


def write_nan(path: Path) -> None:
    samples = np.zeros((1000, 2), np.float32)
    samples[500] = np.nan
    soundfile.write(path, samples, 44_100, subtype="FLOAT")


def write_truncated(path: Path) -> None:
    soundfile.write(path, np.zeros((10_000, 2), np.float32), 44_100)
    path.write_bytes(path.read_bytes()[:20_000])


def write_truncated_flac(path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((100_000, 2)) * 0.1
    soundfile.write(path, noise, 44_100, format="FLAC")
    path.write_bytes(path.read_bytes()[:20_000])


def write_6_channels(path: Path) -> None:
    soundfile.write(path, np.zeros((1000, 6), np.float32), 44_100)


BAD_INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _: None, "there is no such file"),
    "empty": (Path.touch, "the file is empty"),
    "no samples": (lambda path: soundfile.write(path, np.zeros((0, 2)), 44_100), "has no samples"),
    "truncated": (write_truncated, "the file is truncated"),
    "truncated flac": (write_truncated_flac, "truncated or damaged"),
    "no audio": (lambda path: path.write_text("To be, or not to be"), "not an audio file"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(9999)), "not an audio file"),
    "NaN": (write_nan, "the sample at 0.011 s is NaN"),
    "folder": (Path.mkdir, "there are no audio files in this folder"),
    "6 channels": (write_6_channels, "--downmix"),
}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(("make", "message"), BAD_INPUTS.values(), ids=BAD_INPUTS)
@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_bad_input_is_one_line_and_exit_code_1(
    tmp_path: Path,
    separate: Separate,
    make: Callable[[Path], object],
    message: str,
    suffix: str,
) -> None:
    made = tmp_path / "made.wav"
    make(made)
    path = tmp_path / f"bad.{suffix}"
    if made.exists():
        made.rename(path)
    result = separate(path, "-o", tmp_path / "out", "--package", "p")
    assert result.exit_code == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {path}: ")
    assert message in line
    assert result.out == ""
    assert not (tmp_path / "out").exists()


def test_the_others_are_separated_where_one_input_fails(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate
) -> None:
    write_nan(tmp_path / "nan.wav")
    other = tmp_path / "other.wav"
    other.write_bytes(song.read_bytes())
    result = separate(
        song, tmp_path / "missing.wav", tmp_path / "nan.wav", other, "-o", tmp_path / "out", "--package", "p"
    )
    assert result.exit_code == 1
    assert files_in(tmp_path / "out") == ["other/bass.wav", "other/drums.wav", "song/bass.wav", "song/drums.wav"]
    missing, nan, summary = result.err.splitlines()
    assert "missing.wav: there is no such file" in missing
    assert "nan.wav: the sample at" in nan
    assert summary == "2 of 4 inputs were separated, 2 failed"
    assert len(loader.asked) == 1


def test_a_model_is_not_loaded_for_inputs_that_cannot_be_read(
    loader: Loader, tmp_path: Path, separate: Separate
) -> None:
    assert separate(tmp_path / "missing.wav", "-o", tmp_path / "out").exit_code == 1
    assert loader.asked == []


@pytest.mark.parametrize("error", [BackendError("no package is at hand"), MILError("weight.bin ends early")])
def test_a_core_that_cannot_be_loaded_is_one_line_and_exit_code_1(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate, error: Exception
) -> None:
    loader.error = error
    result = separate(song, "-o", tmp_path / "out", "--package", "p")
    assert (result.exit_code, result.err) == (1, f"error: {error}\n")
    assert not (tmp_path / "out").exists()


def test_a_core_that_cannot_be_loaded_is_an_event_and_all_inputs_have_failed(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate
) -> None:
    loader.error = BackendError("no package is at hand")
    result = separate(song, tmp_path / "missing.wav", "-o", tmp_path / "out", "--package", "p", "--json")
    assert result.exit_code == 1
    missing, error, summary = result.events
    assert missing["input"] == str(tmp_path / "missing.wav")
    assert error == {"event": "error", "input": None, "message": "no package is at hand"}
    assert summary == {"event": "summary", "done": 0, "skipped": 0, "failed": 2}


@pytest.mark.parametrize("family", [BackendError, MILError])
def test_a_core_that_fails_is_one_line_with_the_input_and_leaves_nothing(
    song: Path, tmp_path: Path, separate: Separate, monkeypatch: pytest.MonkeyPatch, family: type[Exception]
) -> None:
    def fail(_: object) -> Any:
        raise family("overflow in conv_7")

    monkeypatch.setattr(backends, "load_backend", lambda *_, **__: FakeCore(("drums",), 441_000, fail))
    result = separate(song, "-o", tmp_path / "out", "--package", "p")
    assert (result.exit_code, result.err) == (1, f"error: {song}: overflow in conv_7\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("below", ["file/out", "file"])
def test_an_output_folder_that_cannot_be_written_to_is_one_line_and_exit_code_1(
    loader: Loader, song: Path, tmp_path: Path, separate: Separate, below: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    result = separate(song, "-o", tmp_path / below, "--package", "p")
    assert result.exit_code == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {song}: {tmp_path / below}/song: the stems could not be written")
    assert files_in(tmp_path) == ["file", "song.wav"]
    assert loader.core is not None
    assert loader.core.predictions == 0


@pytest.mark.usefixtures("loader")
def test_json_is_one_event_a_line(song: Path, tmp_path: Path, separate: Separate) -> None:
    result = separate(song, tmp_path / "missing.wav", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    kinds = [event["event"] for event in result.events]
    assert kinds == ["error", "note", "progress", "progress", "done", "summary"]
    error, _, started, finished, done, summary = result.events
    assert error["message"] == f"{tmp_path / 'missing.wav'}: there is no such file"
    assert (started["segments_done"], finished["segments_done"], finished["segments_total"]) == (0, 1, 1)
    assert done["stems"] == {stem: str(tmp_path / f"out/song/{stem}.wav") for stem in GAINS}
    assert (done["input"], done["sample_rate_hz"], done["frames"]) == (str(song), 48_000, 12_000)
    assert (summary["done"], summary["failed"]) == (1, 1)


@pytest.mark.usefixtures("loader")
def test_quiet_prints_nothing_but_errors(song: Path, tmp_path: Path, separate: Separate) -> None:
    result = separate(song, "-o", tmp_path / "out", "--quiet")
    assert (result.exit_code, result.out, result.err) == (0, "", "")
    result = separate(tmp_path / "missing.wav", "-o", tmp_path / "out", "--quiet")
    assert (result.exit_code, result.out) == (1, "")
    assert result.err.startswith("error: ")


@pytest.mark.usefixtures("loader")
def test_quiet_json_has_results_and_no_progress(song: Path, tmp_path: Path, separate: Separate) -> None:
    result = separate(song, "-o", tmp_path / "out", "--quiet", "--json")
    assert [event["event"] for event in result.events] == ["done", "summary"]


@pytest.mark.parametrize("shown", [True, False])
def test_a_progress_bar_counts_segments_where_it_is_shown(shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("song.mp3", shown=shown) as progress:
        progress(0, 3)
        progress(3, 3)
    printed = capsys.readouterr().err
    assert ("song.mp3" in printed) is shown
    assert ("/3" in printed) is shown


@pytest.mark.usefixtures("loader")
def test_a_name_that_is_not_utf_8_is_separated(song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    song.rename(path)
    with pytest.raises(SystemExit) as exited:
        main(["separate", str(path), "-o", str(tmp_path / "out")])
    assert exited.value.code == 0
    assert len(files_in(tmp_path / "out")) == 2
    assert capsys.readouterr().out.startswith(f"{tmp_path}/caf\\udce9.wav -> ")


@pytest.fixture
def python_path() -> Iterator[dict[str, str]]:
    yield {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_partial(
    tmp_path: Path, python_path: dict[str, str], number: int, exit_code: int
) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros((100 * 48_000, 2), np.float32), 48_000)
    script = Path(__file__).with_name("interrupted_separation.py")
    arguments = [str(tmp_path / "long.wav"), "-o", str(tmp_path / "out"), "--package", "p", "--json", "--int16"]
    with subprocess.Popen(
        [sys.executable, str(script), "separate", *arguments],
        env=python_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["segments_done"] < 2:
            assert process.poll() is None
        # Half-way: what is there by now is temporary.
        assert len(files_in(tmp_path)) > 1
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == exit_code
    assert err.splitlines() == [f"error: ended by {signal.Signals(number).name}; nothing partial was left behind"]
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]
