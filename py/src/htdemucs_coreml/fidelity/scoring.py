"""Scores of a core's outputs, stem by stem."""

from torch import Tensor

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.metrics import stem_snr_db
from htdemucs_coreml.segment import stem_waveforms


def stem_scores(estimate: CoreOutputs, reference: CoreOutputs, mix: Tensor) -> list[float]:
    """Score of every stem in dB; see `htdemucs_coreml.metrics.stem_snr_db`."""
    pairs = zip(stem_waveforms(estimate), stem_waveforms(reference), strict=True)
    return [stem_snr_db(judged, truth, mix) for judged, truth in pairs]
