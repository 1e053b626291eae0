"""What packages are compared with: PyTorch in float32 and float64 on each signal, and a truth for SI-SDR."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.fidelity.probes import PROBES, probe
from htdemucs_coreml.fidelity.scoring import stem_scores
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from htdemucs_coreml.weights.checkpoint import Checkpoint

TRUTH_SI_SDR_DB = 9.0
"""What float32 PyTorch scores against a made truth: about what HTDemucs does on the test songs of MUSDB18-HQ.

Source: README of demucs 4 (9.00 dB); Rouard, Massa, Défossez, "Hybrid Transformers for Music Source Separation", ICASSP
2023.
"""


@dataclass(frozen=True)
class Reference:
    """A signal and what is expected of it.

    Attributes
    ----------
    name : str
        The signal's name.
    mix : Tensor [2, L], float32
        The signal.
    stems : Tensor [S, 2, L], float32
        Stems of float32 PyTorch.
    exact_stems : Tensor [S, 2, L], float64
        Stems of float64 PyTorch: STFT, network and inverse STFT.
    truth : Tensor [S, 2, L], float64
        The stems that a perfect separation would give.
    """

    name: str
    mix: Tensor
    stems: Tensor
    exact_stems: Tensor
    truth: Tensor

    def scores(self, estimate: Tensor) -> tuple[float, ...]:
        """Score in dB of each stem of an estimate [S, 2, L] against float32 PyTorch."""
        return stem_scores(estimate, self.stems, self.mix)

    def exact_scores(self, estimate: Tensor) -> tuple[float, ...]:
        """Score in dB of each stem of an estimate [S, 2, L] against float64 PyTorch."""
        return stem_scores(estimate, self.exact_stems, self.mix)


def references(checkpoint: Checkpoint, samples: int, signals: Sequence[str], seed: int) -> Iterator[Reference]:
    """Compute the references of signals, one after the other.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    samples : int
        Length of a segment.
    signals : sequence of str
        Names of `htdemucs_coreml.fidelity.probes`.
    seed : int
        Which ones of their kinds; also of the truths.

    Yields
    ------
    Reference
        With a made truth: these signals are mixed of nothing, and fixture weights would not find it.
    """
    single = extract_inner_model(build_network(checkpoint.entry, checkpoint.tensors), samples)
    double = extract_inner_model(build_network(checkpoint.entry, checkpoint.tensors), samples).double()
    for name in signals:
        mix = torch.from_numpy(probe(name, samples, seed))
        with torch.inference_mode():
            stems = stem_waveforms(single(**core_inputs(mix)))
            with float64_by_default():
                exact_stems = stem_waveforms(double(**core_inputs(mix.double())))
        # Not of the mix's own seed, so that no truth follows its noise.
        truth = made_truth(stems, np.random.Generator(np.random.PCG64([seed, PROBES.index(name), 1])))
        yield Reference(name, mix, stems, exact_stems, truth)


def made_truth(stems: Tensor, random: np.random.Generator) -> Tensor:
    """A truth against which every stem has an SI-SDR of `TRUTH_SI_SDR_DB`.

    It is the stem and white noise, made orthogonal to the stem, of ``10^(-TRUTH_SI_SDR_DB / 10)`` of its energy. With t
    = p + e, e orthogonal to p and ``|e|^2 = k |p|^2``, the part of p along t has the energy ``|p|^2 / (1 + k)`` and the
    rest ``|p|^2 k / (1 + k)``: a ratio of 1 / k.

    Parameters
    ----------
    stems : Tensor [S, 2, L]
        What PyTorch gives.
    random : np.random.Generator
        Where the noise comes from.

    Returns
    -------
    Tensor [S, 2, L], float64
        Silent where a stem is.
    """
    estimates = stems.double()
    noise = torch.from_numpy(random.standard_normal(tuple(stems.shape)))
    energy = estimates.square().sum(dim=(1, 2), keepdim=True)
    along = (noise * estimates).sum(dim=(1, 2), keepdim=True) / energy.clamp_min(torch.finfo(torch.float64).tiny)
    noise -= along * estimates
    noise *= torch.sqrt(energy * 10 ** (-TRUTH_SI_SDR_DB / 10) / noise.square().sum(dim=(1, 2), keepdim=True))
    return estimates + noise


@contextmanager
def float64_by_default() -> Iterator[None]:
    """While it lasts, windows and upstream's positional embeddings, made in PyTorch's default type, are float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
