"""``python -m htdemucs_coreml.demo``: separate a synthetic song through a package and through PyTorch, and compare."""

import sys
from pathlib import Path

import click
import soundfile
import torch
from torch import Tensor

from htdemucs_coreml.backends.base import CoreBackend
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.mil import MILError
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.package.lock import LockError, compare_with_lock, read_lock
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.pipeline.chunk_plan import chunk_plan_for
from htdemucs_coreml.pipeline.separation import separate
from htdemucs_coreml.signals import synthetic_song

SONG_SECONDS = 12
STEM_FLOOR_DB = 110.0


@click.command()
@click.option("--package", required=True, type=click.Path(path_type=Path), help="A package of the fixture model.")
@click.option("--lock", required=True, type=click.Path(path_type=Path), help="The lock that holds its digests.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder for the song and its stems.")
def main(package: Path, lock: Path, output: Path) -> None:
    """Separate a synthetic song of 12 seconds through PACKAGE and through PyTorch, and compare every stem."""
    read = read_package(package)
    name = f"mlpackages.{read.metadata.model}.{read.metadata.variant}"
    verdict = compare_with_lock(package, read_lock(lock)[name], lock.parent / "contents" / f"{name}.txt")
    if not verdict.confirmed:
        raise LockError(f"{package} is not the {name} of {lock}; `just check-lock` says what differs")
    click.echo(f"package  {package}")
    click.echo(f"sha256   {read.digest}, as in the lock")

    mix = torch.from_numpy(synthetic_song(SONG_SECONDS * SAMPLE_RATE_HZ))
    output.mkdir(parents=True, exist_ok=True)
    _write(output / "song.wav", mix)
    click.echo(f"song     {output / 'song.wav'}, {SONG_SECONDS} s, synthesised by this demonstration\n")

    stems = _separated("through the package ", InterpreterBackend(package), mix)
    reference = TorchBackend.load(find_model(read.metadata.model), None, read.metadata.segment_samples)
    expected = _separated("through PyTorch     ", reference, mix)
    values = {}
    for index, source in enumerate(read.metadata.sources):
        file = output / f"{source}.wav"
        _write(file, stems[index])
        values[source] = snr_db(stems[index], expected[index])
        click.echo(f"{source:<7}  {values[source]:6.1f} dB from PyTorch  {file}")

    click.echo(
        f"\n{read.metadata.model} weights are integers turned to numbers: they exercise the whole network but do not"
    )
    click.echo('separate. For stems worth hearing, build with the published weights (README, "Your own package").')
    if not all(value >= STEM_FLOOR_DB for value in values.values()):
        raise HTDemucsCoreMLError(f"a stem is less than {STEM_FLOOR_DB:.0f} dB from PyTorch; the package is not sound")


def _separated(title: str, backend: CoreBackend, mix: Tensor) -> Tensor:
    with click.progressbar(length=1, label=title, file=sys.stderr) as bar:

        def advance(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        return separate(mix, backend, chunk_plan_for(backend.contract.segment_samples), progress=advance)


def _write(path: Path, samples: Tensor) -> None:
    with atomic_file(path) as partial:
        soundfile.write(partial, samples.T.numpy(), SAMPLE_RATE_HZ, subtype="PCM_24", format="WAV")


if __name__ == "__main__":
    try:
        main()
    except (HTDemucsCoreMLError, MILError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
