"""``python -m htdemucs_coreml.demo``: separate a synthetic song through a package and through PyTorch, and compare."""

from pathlib import Path

import click
import torch
from torch import Tensor

from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding, audio_writer
from htdemucs_coreml.backends.base import CoreBackend
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.cli.application import run
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.progress_bar import progress_bar, shows_bars
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.package.lock import LockError, compare_with_lock, read_lock
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.pipeline.chunk_plan import chunk_plan_for
from htdemucs_coreml.pipeline.separation import separate
from htdemucs_coreml.pipeline.stem_folder import staged_folder
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.verification import VerificationError, requirement_of

SONG_SECONDS = 12
SONG_FILE = "song.wav"
_INT24_WAV = AudioFormat(Container.WAV, Encoding.INT24)


@click.command()
@click.option("--package", required=True, type=GivenPath(), help="A package of the fixture model.")
@click.option("--lock", required=True, type=GivenPath(), help="The lock that holds its digests.")
@click.option("--output", required=True, type=GivenPath(), help="Folder for the song and its stems.")
def command(package: Path, lock: Path, output: Path) -> None:
    """Separate a synthetic song of 12 seconds through PACKAGE and through PyTorch, and compare every stem."""
    read = read_package(package)
    floor_db = requirement_of(read).stem_floor_db
    name = f"mlpackages.{read.metadata.model}.{read.metadata.variant}"
    entry = read_lock(lock).find(name)
    if entry is None:
        raise LockError(f"{lock} has no entry {name}, so {package} cannot be checked; give one of its packages")
    verdict = compare_with_lock(package, entry, lock.parent / "contents" / f"{name}.txt")
    if not verdict.confirmed:
        raise LockError(f"{package} is not the {name} of {lock}; `just check-lock` says what differs")
    click.echo(f"package  {package}")
    click.echo(f"sha256   {read.digest}, as in the lock")

    mix = torch.from_numpy(synthetic_song(SONG_SECONDS * SAMPLE_RATE_HZ))
    with staged_folder(output) as staging:
        _write(staging / SONG_FILE, mix)
        stems = _separated("through the package", InterpreterBackend(package), mix)
        for source, stem in zip(read.metadata.sources, stems, strict=True):
            _write(staging / f"{source}.wav", stem)
    click.echo(f"song     {output / SONG_FILE}, {SONG_SECONDS} s, synthesised by this demonstration\n")

    reference = TorchBackend.load(find_model(read.metadata.model), None, read.metadata.segment_samples)
    expected = _separated("through PyTorch", reference, mix)
    values = {}
    for index, source in enumerate(read.metadata.sources):
        values[source] = snr_db(stems[index], expected[index])
        click.echo(f"{source:<7}  {values[source]:6.1f} dB from PyTorch  {output / f'{source}.wav'}")

    click.echo(
        f"\n{read.metadata.model} weights are integers turned to numbers: they exercise the whole network but do not"
    )
    click.echo('separate. For stems worth hearing, build with the published weights (README, "Your own package").')
    if not all(value >= floor_db for value in values.values()):
        raise VerificationError(
            f"{package} is not sound: a stem is less than {floor_db:.0f} dB from PyTorch, the least of its variant "
            f"{read.metadata.variant}; build it again"
        )


def _separated(title: str, backend: CoreBackend, mix: Tensor) -> Tensor:
    with progress_bar(title, shown=shows_bars()) as progress:
        return separate(mix, backend, chunk_plan_for(backend.contract.segment_samples), progress=progress)


def _write(path: Path, samples: Tensor) -> None:
    with audio_writer(path, _INT24_WAV, SAMPLE_RATE_HZ, samples.shape[1], ClipMode.NONE) as write:
        write(samples)


if __name__ == "__main__":
    run(command, prog_name="python -m htdemucs_coreml.demo")
