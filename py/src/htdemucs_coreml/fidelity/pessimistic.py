"""Variants with segments of about a second, which is enough for rounding errors, and on the pessimistic machine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.fidelity.measurement import predicted_stems
from htdemucs_coreml.fidelity.probes import probe
from htdemucs_coreml.fidelity.scoring import stem_scores
from htdemucs_coreml.mil import Interpreter
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.pessimistic import PessimisticInterpreter
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from htdemucs_coreml.weights.checkpoint import Checkpoint

SAMPLES = 44 * 1024


class ShortSignals:
    """Signals of about a second, and what float32 PyTorch makes of them.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    signals : sequence of str
        Names of the signals.
    seed : int
        Which ones of their kinds.
    samples : int
        Length of a segment.
    """

    def __init__(self, checkpoint: Checkpoint, signals: Sequence[str], seed: int, samples: int = SAMPLES) -> None:
        self._checkpoint, self._samples = checkpoint, samples
        self._mixes = {name: torch.from_numpy(probe(name, samples, seed)) for name in signals}

    @cached_property
    def _expected(self) -> Mapping[str, Tensor]:
        reference = TorchBackend(self._checkpoint, self._samples)
        return {name: stem_waveforms(reference.predict(**core_inputs(mix))) for name, mix in self._mixes.items()}

    def worst_db(self, interpreter: Interpreter, signal: str) -> float:
        """Score of the worst stem of a signal, through a program of this segment."""
        mix = self._mixes[signal]
        return min(stem_scores(predicted_stems(interpreter, mix), self._expected[signal], mix))


class PessimisticScores:
    """Scores of variants on a pessimistic machine, against float32 PyTorch.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    signals : sequence of str
        Names of the signals.
    seed : int
        Which ones of their kinds.
    samples : int
        Length of a segment.
    """

    def __init__(self, checkpoint: Checkpoint, signals: Sequence[str], seed: int, samples: int = SAMPLES) -> None:
        self._checkpoint, self._names, self._samples = checkpoint, tuple(signals), samples
        self._signals = ShortSignals(checkpoint, signals, seed, samples)

    def worst_db(self, variant: Variant, folder: Path) -> float:
        """Score of a variant's worst stem on the signals.

        Parameters
        ----------
        variant : Variant
            What is converted, with this object's segment.
        folder : Path
            Where the package is put meanwhile.
        """
        path = folder / f"{variant.name}.short.mlpackage"
        convert_checkpoint(self._checkpoint, replace(variant, segment_samples=self._samples), path)
        interpreter = PessimisticInterpreter(read_program(path))
        return min(self._signals.worst_db(interpreter, name) for name in self._names)
