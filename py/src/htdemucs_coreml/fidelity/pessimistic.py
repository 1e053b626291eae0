"""Variants on the pessimistic machine, with segments of about a second: its sums take long."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.fidelity.measurement import predicted_stems
from htdemucs_coreml.fidelity.probes import probe
from htdemucs_coreml.fidelity.scoring import stem_scores
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.pessimistic import PessimisticInterpreter
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from htdemucs_coreml.weights.checkpoint import Checkpoint

SAMPLES = 44 * 1024


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
        self._checkpoint, self._samples = checkpoint, samples
        self._mixes = [torch.from_numpy(probe(name, samples, seed)) for name in signals]
        self._expected: list[Tensor] = []

    def worst_db(self, variant: Variant, folder: Path) -> float:
        """Score of a variant's worst stem on the signals.

        Parameters
        ----------
        variant : Variant
            What is converted, with this object's segment.
        folder : Path
            Where the package is put meanwhile.
        """
        if not self._expected:
            reference = TorchBackend(self._checkpoint, self._samples)
            self._expected = [stem_waveforms(reference.predict(**core_inputs(mix))) for mix in self._mixes]
        path = folder / f"{variant.name}.short.mlpackage"
        convert_checkpoint(self._checkpoint, replace(variant, segment_samples=self._samples), path)
        interpreter = PessimisticInterpreter(read_program(path))
        return min(
            score
            for mix, expected in zip(self._mixes, self._expected, strict=True)
            for score in stem_scores(predicted_stems(interpreter, mix), expected, mix)
        )
