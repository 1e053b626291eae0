"""Around the core, for one segment: its inputs from a waveform, and waveforms of stems from its outputs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.spectrogram import spectrogram, waveform_from_spectrogram


def core_inputs(waveform: Tensor) -> dict[str, Tensor]:
    """The core's inputs for a segment, by their names in the contract.

    Parameters
    ----------
    waveform : Tensor [2, L], float32 or float64
        The mix.

    Returns
    -------
    dict of str to Tensor
        ``spectrogram_real`` and ``spectrogram_imag`` [1, 2, 2048, frames] and ``waveform`` [1, 2, L], of the type of
        `waveform`.

    Raises
    ------
    SpectrogramError
        If it is no waveform.
    """
    transformed = spectrogram(waveform)[None]
    return {
        "spectrogram_real": transformed.real.contiguous(),
        "spectrogram_imag": transformed.imag.contiguous(),
        "waveform": waveform[None],
    }


def stem_waveforms(outputs: CoreOutputs, indices: Sequence[int] | None = None) -> Tensor:
    """Waveforms of stems: ``istft(stems_real + i stems_imag) + stems_waveform``.

    Parameters
    ----------
    outputs : CoreOutputs
        What a core returned for one segment.
    indices : sequence of int, optional
        Which stems, by their place in the outputs; by default all.

    Returns
    -------
    Tensor [stems, 2, L]
        Of the outputs' type.
    """
    chosen = range(outputs.stems_waveform.shape[1]) if indices is None else indices
    samples = outputs.stems_waveform.shape[-1]
    stems = outputs.stems_waveform.new_empty(len(chosen), *outputs.stems_waveform.shape[2:])
    # One stem at a time: the inverse of all at once would need several times the memory.
    for position, index in enumerate(chosen):
        stem_spectrogram = torch.complex(outputs.stems_real[0, index], outputs.stems_imag[0, index])
        from_spectrogram = waveform_from_spectrogram(stem_spectrogram, samples)
        stems[position] = outputs.stems_waveform[0, index] + from_spectrogram
    return stems
