"""``just parity-swift [SONG]``: the Swift tool beside the Python tool, stem by stem, on the same packages and plans.

Both separate the same file with the fixture's packages, 10 s by plan ``design`` and 7.8 s by plan ``demucs``; the
latter is also compared with demucs' own ``apply_model``. On Linux both predict through the interpreter, so that what
is compared is the Swift pipeline: decoding, STFT, chunking, inverse STFT, files. On macOS the Swift tool predicts with
Core ML, once for each choice of compute units.
"""

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import torch
from torch import Tensor
from upstream import through_apply_model

from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding, audio_writer
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.loading import find_package
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.pipeline.chunk_plan import chunk_plan_for
from htdemucs_coreml.pipeline.file_separation import separate_file, song_name
from htdemucs_coreml.signals import synthetic_song

FLOOR_DB = 100.0
SHORT_SONG_SAMPLES = 9 * SAMPLE_RATE_HZ
_BLOCK_FRAMES = 1 << 16
_COMPUTE_UNITS = ("cpuOnly", "cpuAndGPU", "all") if platform.system() == "Darwin" else ("cpuOnly",)


@click.command()
@click.option("--tool", required=True, type=click.Path(path_type=Path), help="The Swift tool.")
@click.option("--floor", default=FLOOR_DB, show_default=True, help="Decibels that every stem has to reach.")
@click.argument("song", required=False, type=click.Path(path_type=Path))
def main(tool: Path, floor: float, song: Path | None) -> None:
    """Compare every stem of SONG, a stereo file at 44.1 kHz; by default of a short one that is made for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = song or _written_song(Path(folder) / "song.wav")
        columns = _columns(path, tool, Path(folder))
    sources = find_model("fixture").sources
    click.echo(f"{'':<8} " + " ".join(f"{title:>24}" for title in columns) + "   dB")
    for index, name in enumerate(sources):
        click.echo(f"{name:<8} " + " ".join(f"{values[index]:>24.1f}" for values in columns.values()))
    if not all(value >= floor for values in columns.values() for value in values):
        click.echo(f"error: a stem of the Swift tool is less than {floor:.0f} dB from what it has to be", err=True)
        sys.exit(1)


def _columns(song: Path, tool: Path, folder: Path) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {}
    for segment in ("10s", "7.8s"):
        package = find_package(None, segment)
        backend = InterpreterBackend(package)
        plan = chunk_plan_for(backend.contract.segment_samples)
        ours = separate_file(song, folder / "python" / plan.name, backend, plan)
        expected = {name: _samples(file) for name, file in ours.stems.items()}
        upstream = through_apply_model(_samples(song)) if segment == "7.8s" else None
        for units in _COMPUTE_UNITS:
            output = folder / f"swift-{plan.name}-{units}"
            _run(tool, song, package, output, units)
            files = {name: output / song_name(song) / file.name for name, file in ours.stems.items()}
            for name, file in files.items():
                _require_same_container(file, ours.stems[name])
            stems = [_samples(file) for file in files.values()]
            columns[f"{plan.name} {units}"] = [
                snr_db(stem, expected[name]) for stem, name in zip(stems, files, strict=True)
            ]
            if upstream is not None:
                columns[f"apply_model {units}"] = [snr_db(*pair) for pair in zip(stems, upstream, strict=True)]
    return columns


def _run(tool: Path, song: Path, package: Path, output: Path, units: str) -> None:
    arguments: list[str | Path] = [
        "separate",
        song,
        "--output",
        output,
        "--package",
        package,
        "--compute-units",
        units,
        "--quiet",
    ]
    subprocess.run([tool, *arguments], check=True)


def _require_same_container(actual: Path, expected: Path) -> None:
    """Both tools write the same bytes but for the samples themselves."""
    header = 58
    if actual.stat().st_size != expected.stat().st_size or _start(actual, header) != _start(expected, header):
        raise click.ClickException(f"{actual.name} has another header or length than Python's")


def _start(file: Path, count: int) -> bytes:
    with file.open("rb") as stream:
        return stream.read(count)


def _samples(file: Path) -> Tensor:
    return torch.cat(list(AudioFile(file).blocks(_BLOCK_FRAMES)), dim=1)


def _written_song(path: Path) -> Path:
    samples = torch.from_numpy(synthetic_song(SHORT_SONG_SAMPLES))
    wav = AudioFormat(Container.WAV, Encoding.FLOAT32)
    with audio_writer(path, wav, SAMPLE_RATE_HZ, samples.shape[1], ClipMode.NONE) as write:
        write(samples)
    return path


if __name__ == "__main__":
    main()
