"""Scores of stems."""

from torch import Tensor

from htdemucs_coreml.metrics import stem_snr_db


def stem_scores(estimates: Tensor, references: Tensor, mix: Tensor) -> tuple[float, ...]:
    """Score in dB of each of the stems [S, 2, L]; see `htdemucs_coreml.metrics.stem_snr_db`."""
    return tuple(stem_snr_db(*pair, mix) for pair in zip(estimates, references, strict=True))
