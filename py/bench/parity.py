"""``just parity SONG``: a song through the fixture's packages and through PyTorch, stem by stem.

Both chunk plans are compared with PyTorch under the same plan; the plan ``demucs`` also with demucs' ``apply_model``.
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
from htdemucs_coreml.backends.loading import find_package
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.pipeline.chunk_plan import chunk_plan_for
from htdemucs_coreml.pipeline.separation import separate

FLOOR_DB = 110.0
_BLOCK_FRAMES = 1 << 16


@click.command()
@click.argument("song", type=click.Path(path_type=Path))
def main(song: Path) -> None:
    """Compare every stem of SONG, a stereo file at 44.1 kHz."""
    file = AudioFile(song)
    if (file.sample_rate_hz, file.channels) != (SAMPLE_RATE_HZ, 2):
        raise click.UsageError(f"{song} is not stereo at {SAMPLE_RATE_HZ} Hz")
    mix = torch.cat(list(file.blocks(_BLOCK_FRAMES)), dim=1)

    design, _ = _through_package_and_pytorch(mix, find_package(None, "10s"))
    demucs, package_stems = _through_package_and_pytorch(mix, find_package(None, "7.8s"))
    upstream = [snr_db(*pair) for pair in zip(package_stems, through_apply_model(mix), strict=True)]

    sources = find_model("fixture").sources
    click.echo(f"{'':<8} {'plan design':>12} {'plan demucs':>12} {'apply_model':>12}   dB from PyTorch")
    for name, *values in zip(sources, design, demucs, upstream, strict=True):
        click.echo(f"{name:<8} " + " ".join(f"{value:>12.1f}" for value in values))
    if not all(value >= FLOOR_DB for value in (*design, *demucs, *upstream)):
        click.echo(f"error: a stem is less than {FLOOR_DB:.0f} dB from PyTorch", err=True)
        sys.exit(1)


def _through_package_and_pytorch(mix: Tensor, package: Path) -> tuple[Sequence[float], Tensor]:
    interpreter = InterpreterBackend(package)
    plan = chunk_plan_for(interpreter.contract.segment_samples)
    stems = separate(mix, interpreter, plan)
    pytorch = TorchBackend.load(find_model("fixture"), None, interpreter.contract.segment_samples)
    expected = separate(mix, pytorch, plan)
    return [snr_db(*pair) for pair in zip(stems, expected, strict=True)], stems


if __name__ == "__main__":
    main()
