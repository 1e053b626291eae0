"""A package, executed from its bytes, against references."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.fidelity.headroom import LargestFloat16
from htdemucs_coreml.fidelity.references import Reference
from htdemucs_coreml.fidelity.results import PackageFigures, SignalFigures
from htdemucs_coreml.fidelity.weight_error import weights_snr_db
from htdemucs_coreml.metrics import si_sdr_db
from htdemucs_coreml.mil import Analysis, Interpreter, Program, analyse
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.interpreter import Observer
from htdemucs_coreml.mil.tensor_types import DataType
from htdemucs_coreml.package.reader import Package
from htdemucs_coreml.segment import core_inputs, stem_waveforms

VERSION = 2
"""Goes up with every change after which a package's figures would be others: what was measured before is void then."""

LARGEST_INPUT = 1e4


def measured(
    package: Package,
    references: Sequence[Reference],
    float32_program: Program,
    pessimistic_db: float,
    tell: Callable[[str], None] = lambda _: None,
) -> PackageFigures:
    """Measure a package.

    Parameters
    ----------
    package : Package
        What is measured.
    references : sequence of Reference
        Signals, of the package's segment and model.
    float32_program : Program
        Of the same model and segment: its weights are those that others are compared with.
    pessimistic_db : float
        What was measured on the pessimistic machine.
    tell : Callable
        Told of each signal that is done, in a line.

    Raises
    ------
    MILError
        If the package is damaged.
    FidelityError
        If the packages do not have the same operations.
    """
    program = read_program(package.path)
    interpreter = Interpreter(program)
    largest = LargestFloat16(program)
    signals = {}
    for reference in references:
        signals[reference.name] = signal_figures(predicted_stems(interpreter, reference.mix, largest), reference)
        worst = min(signals[reference.name].snr_db)
        tell(f"{package.metadata.variant} {reference.name}: {worst:.1f} dB")
    analysis = analyse(program)
    samples = package.metadata.segment_samples
    return PackageFigures(
        sha256=package.digest,
        bytes=package.bytes,
        float16_share=_float16_share(analysis),
        casts=analysis.operations_by_type.get("cast", 0),
        largest_float16=largest.magnitude,
        largest_float16_name=largest.name,
        weights_snr_db=weights_snr_db(program, float32_program),
        silence_dbfs=_peak_dbfs(predicted_stems(interpreter, torch.zeros(2, samples))),
        finite=_is_finite(interpreter, samples),
        pessimistic_db=pessimistic_db,
        signals=signals,
    )


def signal_figures(stems: Tensor, reference: Reference) -> SignalFigures:
    """The figures of stems [S, 2, L] that a package gives for a signal."""
    triples = list(zip(stems.double(), reference.stems.double(), reference.truth, strict=True))
    return SignalFigures(
        snr_db=reference.scores(stems),
        float64_snr_db=reference.exact_scores(stems),
        si_sdr_change_db=tuple(si_sdr_change_db(*triple) for triple in triples),
        mean_relative_error=tuple(mean_relative_error(stem, expected) for stem, expected, _ in triples),
        maximum_error=tuple(_or_infinite(float((stem - expected).abs().max())) for stem, expected, _ in triples),
    )


def si_sdr_change_db(estimate: Tensor, reference: Tensor, truth: Tensor) -> float:
    """SI-SDR of an estimate against a truth, less that of the reference; 0 where both are the same infinity."""
    ours, theirs = si_sdr_db(estimate, truth), si_sdr_db(reference, truth)
    return 0.0 if ours == theirs else ours - theirs


def mean_relative_error(estimate: Tensor, reference: Tensor) -> float:
    """Mean magnitude of the error through the mean magnitude of the reference.

    The mean of each sample's own relative error would be decided by the samples next to zero crossings.
    """
    error, whole = float((estimate - reference).abs().mean()), float(reference.abs().mean())
    if whole == 0:
        return 0.0 if error == 0 else math.inf
    return _or_infinite(error / whole)


def predicted_stems(interpreter: Interpreter, mix: Tensor, observe: Observer | None = None) -> Tensor:
    """Stems [S, 2, L] of a mix [2, L] through a program."""
    outputs = interpreter.predict({name: tensor.numpy() for name, tensor in core_inputs(mix).items()}, observe)
    return stem_waveforms(CoreOutputs(**{name: torch.from_numpy(array) for name, array in outputs.items()}))


def _or_infinite(error: float) -> float:
    return math.inf if math.isnan(error) else error


def _float16_share(analysis: Analysis) -> float:
    counts = analysis.multiply_adds
    halves = sum(count for (_, dtype), count in counts.items() if dtype is DataType.FLOAT16)
    return halves / sum(counts.values())


def _is_finite(interpreter: Interpreter, samples: int) -> bool:
    random = torch.Generator().manual_seed(0)
    single = torch.zeros(2, samples)
    single[0, samples // 3] = 1
    square = torch.sign(torch.sin(torch.arange(samples) * 0.05)).expand(2, -1)
    noise = 2 * torch.rand(2, samples, generator=random) - 1
    return all(
        bool(torch.isfinite(predicted_stems(interpreter, (LARGEST_INPUT * mix).contiguous())).all())
        for mix in (noise, single, square)
    )


def _peak_dbfs(stems: Tensor) -> float:
    peak = float(stems.abs().max())
    return 20 * math.log10(peak) if peak > 0 else -math.inf
