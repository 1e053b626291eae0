"""Packages against PyTorch on held-out signals: ``python -m htdemucs_coreml.fidelity.comparison PACKAGE…``.

Each package is executed by the interpreter from its bytes; the reference is float32 PyTorch, with demucs' own layers.
Signals are those of `htdemucs_coreml.fidelity.probes` under a seed that the derivation of plans does not use.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor

from htdemucs_coreml.backends.base import CoreBackend
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.fidelity.probes import PROBES, STRESS, probe
from htdemucs_coreml.fidelity.scoring import stem_scores
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.mil import Analysis, analyse
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.tensor_types import DataType
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from htdemucs_coreml.verification import VerificationError
from htdemucs_coreml.weights.source import load_weights

HELD_OUT_SEED = 2
LARGEST_INPUT = 1e4

_PAGE = """# Fidelity

Written by `just update-fidelity`; do not edit. Packages of the fixture's weights with 7.8 s segments, executed by the
interpreter from their bytes, against float32 PyTorch: the worst stem's SNR in dB on signals that the derivation of
`mixed` did not see. A stem more than 30 dB below the mix is scored against the mix - 30 dB. The click, one sample at
full scale, is a stress signal. *float16* is the share of multiply-adds, *silence* the peak of all stems for a silent
mix; *finite* means noise, a single sample and a square wave of magnitude 10,000.

{table}
"""


@dataclass(frozen=True)
class Comparison:
    """How near a package comes to PyTorch.

    Attributes
    ----------
    package : Package
        What was read from disk.
    analysis : Analysis
        Its operations and multiply-adds.
    worst_stem_db : Mapping of str to float
        Score of the worst stem, by signal.
    is_finite : bool
        Whether all of the outputs are finite for inputs of a magnitude of `LARGEST_INPUT`: noise, a single sample, and
        a full-scale square wave.
    silence_dbfs : float
        Peak of all stems where the input is silent, in dB of full scale.
    """

    package: Package
    analysis: Analysis
    worst_stem_db: Mapping[str, float]
    is_finite: bool
    silence_dbfs: float

    @property
    def float16_share(self) -> float:
        """Share of the multiply-adds that are float16."""
        counts = self.analysis.multiply_adds
        halves = sum(count for (_, dtype), count in counts.items() if dtype is DataType.FLOAT16)
        return halves / sum(counts.values())

    @property
    def casts(self) -> int:
        """Number of casts."""
        return self.analysis.operations_by_type.get("cast", 0)


def compare(paths: Sequence[Path], signals: Sequence[str], seed: int = HELD_OUT_SEED) -> list[Comparison]:
    """Compare packages with PyTorch, all of one model and segment.

    Raises
    ------
    PackageError, MILError
        If a package is damaged.
    WeightsError
        If the weights of the model can neither be computed nor were fetched.
    VerificationError
        If the packages are of several models, segments or weights, or of other weights than the model's.
    """
    packages = [read_package(path) for path in paths]
    metadata = packages[0].metadata
    samples = metadata.segment_samples
    checkpoint = load_weights(find_model(metadata.model), None)
    for path, package in zip(paths, packages, strict=True):
        if (package.metadata.model, package.metadata.segment_samples) != (metadata.model, samples):
            raise VerificationError(f"{path} is of another model or segment than {paths[0]}; compare them apart")
        if package.metadata.weights_sha256 != checkpoint.sha256:
            raise VerificationError(f"{path} was not made from the weights of {metadata.model}; convert it again")
    reference = TorchBackend(checkpoint, samples)
    mixes = {name: torch.from_numpy(probe(name, samples, seed)) for name in signals}
    expected = {name: reference.predict(**core_inputs(mix)) for name, mix in mixes.items()}
    del reference
    compared = []
    for path, package in zip(paths, packages, strict=True):
        backend = InterpreterBackend(path)
        scores = {}
        for name, mix in mixes.items():
            scores[name] = min(stem_scores(backend.predict(**core_inputs(mix)), expected[name], mix))
            click.echo(f"{package.metadata.variant} {name}: {scores[name]:.1f} dB", err=True)
        silence = stem_waveforms(backend.predict(**core_inputs(torch.zeros(2, samples))))
        compared.append(
            Comparison(package, analyse(read_program(path)), scores, _is_finite(backend, samples), _peak_dbfs(silence))
        )
    return compared


def _is_finite(backend: CoreBackend, samples: int) -> bool:
    random = torch.Generator().manual_seed(HELD_OUT_SEED)
    click_signal = torch.zeros(2, samples)
    click_signal[0, samples // 3] = 1
    square = torch.sign(torch.sin(torch.arange(samples) * 0.05)).expand(2, -1)
    noise = 2 * torch.rand(2, samples, generator=random) - 1
    return all(
        bool(torch.isfinite(output).all())
        for mix in (noise, click_signal, square)
        for output in backend.predict(**core_inputs((LARGEST_INPUT * mix).contiguous()))
    )


def _peak_dbfs(stems: Tensor) -> float:
    peak = float(stems.abs().max())
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def table(compared: Sequence[Comparison], signals: Sequence[str]) -> str:
    """The comparison as a Markdown table: worst stem in dB by variant and signal."""
    header = ["variant", *signals, "float16", "casts", "MB", "silence", "finite at 1e4"]
    rows = [
        [
            f"`{one.package.metadata.variant}`",
            *(f"{one.worst_stem_db[name]:.1f}" for name in signals),
            f"{one.float16_share:.1%}",
            str(one.casts),
            f"{one.package.bytes / 1e6:.1f}",
            f"{one.silence_dbfs:.0f} dBFS",
            "yes" if one.is_finite else "NO",
        ]
        for one in compared
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


@click.command()
@click.argument("packages", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--signal", "signals", multiple=True, type=click.Choice(PROBES), help="Only these; all if left out.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a page with the table, too.")
@click.option("--floor", type=float, help="Fail where a stem is below, in dB; the click does not count.")
def command(packages: tuple[Path, ...], signals: tuple[str, ...], output: Path | None, floor: float | None) -> None:
    """Compare PACKAGES of the fixture model, of one segment, with PyTorch on held-out signals."""
    chosen = signals or PROBES
    if floor is not None and set(chosen) <= {STRESS}:
        raise click.UsageError(f"--floor is about signals other than {STRESS}, which does not count")
    compared = compare(packages, chosen)
    made = table(compared, chosen)
    click.echo(made)
    if output is not None:
        with atomic_file(output) as partial:
            partial.write_text(_PAGE.format(table=made), encoding="utf-8")
    if floor is None:
        return
    for one in compared:
        worst = min(score for name, score in one.worst_stem_db.items() if name != STRESS)
        if not one.is_finite:
            raise click.ClickException(f"{one.package.path} gives values that are not finite for large inputs")
        if not worst >= floor:
            raise click.ClickException(
                f"{one.package.path} is {worst:.1f} dB from PyTorch; the floor is {floor:.1f} dB"
            )


if __name__ == "__main__":
    command()
