"""From a mix to the core's inputs, and from its outputs to a score for each stem."""

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.metrics import stem_snr_db
from htdemucs_coreml.spectrogram import spectrogram, waveform_from_spectrogram


def inputs_of(mix: Tensor) -> dict[str, Tensor]:
    """The core's inputs for a mix [2, samples]."""
    mixed = spectrogram(mix[None])
    return {
        "spectrogram_real": mixed.real.contiguous(),
        "spectrogram_imag": mixed.imag.contiguous(),
        "waveform": mix[None],
    }


def stems_of(outputs: CoreOutputs) -> Tensor:
    """Waveforms [S, 2, samples] of all stems."""
    spectrograms = torch.complex(outputs.stems_real[0], outputs.stems_imag[0])
    return waveform_from_spectrogram(spectrograms, outputs.stems_waveform.shape[-1]) + outputs.stems_waveform[0]


def stem_scores(estimate: CoreOutputs, reference: CoreOutputs, mix: Tensor) -> list[float]:
    """Score of every stem in dB; see `htdemucs_coreml.metrics.stem_snr_db`."""
    pairs = zip(stems_of(estimate), stems_of(reference), strict=True)
    return [stem_snr_db(judged, truth, mix) for judged, truth in pairs]
