"""``just parity SONG``: a song through the fixture's packages and through PyTorch, stem by stem.

Both chunk plans are compared with PyTorch under the same plan; the plan ``demucs`` also with demucs' ``apply_model``.
The packages are those of the default variant, or of another precision plan such as ``float32``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from torch import Tensor
from upstream import through_apply_model

from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.loading import find_package_of_variant
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.convert.variants import default_variant
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, find_model
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.pipeline.chunk_plan import chunk_plan_for
from htdemucs_coreml.pipeline.separation import separate
from htdemucs_coreml.plan_files import SHORT_SUFFIX
from htdemucs_coreml.verification import requirement_of

_BLOCK_FRAMES = 1 << 16


@click.command()
@click.option(
    "--variant",
    default=default_variant().name,
    show_default=True,
    type=click.Choice([default_variant().name, "float32"]),
    help="Which packages of the fixture run: these and, by plan demucs, the ones with short segments.",
)
@click.argument("song", type=click.Path(path_type=Path))
def main(song: Path, variant: str) -> None:
    """Compare every stem of SONG, a stereo file at 44.1 kHz."""
    file = AudioFile(song)
    if (file.sample_rate_hz, file.channels) != (SAMPLE_RATE_HZ, 2):
        raise click.UsageError(f"{song} is not stereo at {SAMPLE_RATE_HZ} Hz")
    mix = torch.cat(list(file.blocks(_BLOCK_FRAMES)), dim=1)

    long, short = (find_package_of_variant(EMBEDDED_MODEL, name) for name in (variant, variant + SHORT_SUFFIX))
    floor_db = requirement_of(read_package(long)).stem_floor_db
    design, _ = _through_package_and_pytorch(mix, long)
    demucs, package_stems = _through_package_and_pytorch(mix, short)
    upstream = [snr_db(*pair) for pair in zip(package_stems, through_apply_model(mix), strict=True)]

    sources = find_model(EMBEDDED_MODEL).sources
    click.echo(f"{'':<8} {'plan design':>12} {'plan demucs':>12} {'apply_model':>12}   dB from PyTorch")
    for name, *values in zip(sources, design, demucs, upstream, strict=True):
        click.echo(f"{name:<8} " + " ".join(f"{value:>12.1f}" for value in values))
    if not all(value >= floor_db for value in (*design, *demucs, *upstream)):
        click.echo(f"error: a stem is less than {floor_db:.0f} dB from PyTorch", err=True)
        sys.exit(1)


def _through_package_and_pytorch(mix: Tensor, package: Path) -> tuple[Sequence[float], Tensor]:
    interpreter = InterpreterBackend(package)
    plan = chunk_plan_for(interpreter.contract.segment_samples)
    stems = separate(mix, interpreter, plan)
    pytorch = TorchBackend.load(find_model(EMBEDDED_MODEL), None, interpreter.contract.segment_samples)
    expected = separate(mix, pytorch, plan)
    return [snr_db(*pair) for pair in zip(stems, expected, strict=True)], stems


if __name__ == "__main__":
    main()
