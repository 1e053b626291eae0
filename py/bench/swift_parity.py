"""``just parity-swift [SONG]``: the Swift tool beside the Python tool, stem by stem, on the same packages and plans.

Both separate the same file with the fixture's packages, 10 s by plan ``design`` and 7.8 s by plan ``demucs``; the
latter is also compared with demucs' own ``apply_model``. On Linux both predict through the interpreter, so that what
is compared is the Swift pipeline: decoding, STFT, chunking, inverse STFT, files. On macOS the Swift tool predicts with
Core ML, once for each choice of compute units.

float32 shows that both pipelines do the same. The default variant, whose short package runs besides, cannot: two STFTs
whose last bits differ are rounded to other float16 values from the first layer on, and what remains alike is what
either has in common with PyTorch.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor
from upstream import through_apply_model

from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding, audio_writer
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.loading import find_package_of_variant
from htdemucs_coreml.convert.variants import default_variant
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, find_model
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.pipeline.chunk_plan import PlanName, chunk_plan_for
from htdemucs_coreml.pipeline.file_separation import separate_file, song_name
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.verification import requirement_of

# What two pipelines in float32 come to; other variants have floors of their own below it.
FLOAT32_FLOOR_DB = 100.0
SHORT_SONG_SAMPLES = 9 * SAMPLE_RATE_HZ
_BLOCK_FRAMES = 1 << 16
_VARIANTS = ("float32", "float32-7_8s", default_variant(short=True).name)
_COMPUTE_UNITS = ("cpuOnly", "cpuAndGPU", "all") if platform.system() == "Darwin" else ("cpuOnly",)


@dataclass(frozen=True)
class Comparison:
    """Stems of the Swift tool beside others, in decibels, and what each has to reach."""

    title: str
    stem_snr_db: tuple[float, ...]
    floor_db: float

    @property
    def passed(self) -> bool:
        """Whether every stem reaches the floor."""
        return all(value >= self.floor_db for value in self.stem_snr_db)


@click.command()
@click.option("--tool", required=True, type=click.Path(path_type=Path), help="The Swift tool.")
@click.option(
    "--floor",
    type=float,
    help=f"Decibels that every stem has to reach.  [default: what stems of the variant have to, at most "
    f"{FLOAT32_FLOOR_DB:g}]",
)
@click.argument("song", required=False, type=click.Path(path_type=Path))
def main(tool: Path, floor: float | None, song: Path | None) -> None:
    """Compare every stem of SONG, a stereo file at 44.1 kHz; by default of a short one that is made for it."""
    sources = find_model(EMBEDDED_MODEL).sources
    click.echo(f"{'dB':<36}" + "".join(f"{name:>8}" for name in sources) + f"{'floor':>8}")
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        path = song or _written_song(Path(folder) / "song.wav")
        for comparison in _comparisons(path, tool, Path(folder), floor):
            values = (*comparison.stem_snr_db, comparison.floor_db)
            click.echo(f"{comparison.title:<36}" + "".join(f"{value:>8.1f}" for value in values))
            passed = passed and comparison.passed
    if not passed:
        click.echo("error: a stem of the Swift tool is less than its floor from what it has to be", err=True)
        sys.exit(1)


def _comparisons(song: Path, tool: Path, folder: Path, floor_db: float | None) -> Iterator[Comparison]:
    """Run one package after the other, by the Python tool and, for every choice of compute units, by Swift's."""
    upstream = through_apply_model(_samples(song))
    for variant in _VARIANTS:
        package = find_package_of_variant(EMBEDDED_MODEL, variant)
        if floor_db is None:
            variant_floor_db = min(FLOAT32_FLOOR_DB, requirement_of(read_package(package)).stem_floor_db)
        else:
            variant_floor_db = floor_db
        backend = InterpreterBackend(package)
        plan = chunk_plan_for(backend.contract.segment_samples)
        ours = separate_file(song, folder / "python" / variant, backend, plan)
        references = {"Python": [_samples(file) for file in ours.stems.values()]}
        if plan.name is PlanName.DEMUCS:
            references["apply_model"] = list(upstream)
        for units in _COMPUTE_UNITS:
            output = folder / f"swift-{variant}-{units}"
            _run(tool, song, package, output, units)
            files = [output / song_name(song) / file.name for file in ours.stems.values()]
            for file, expected in zip(files, ours.stems.values(), strict=True):
                _require_same_container(file, expected)
            stems = [_samples(file) for file in files]
            for name, reference in references.items():
                values = tuple(snr_db(*pair) for pair in zip(stems, reference, strict=True))
                yield Comparison(f"{variant} {units}, {name}", values, variant_floor_db)


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
