"""The STFT around the core: waveform to complex spectrogram and back, as HTDemucs does it.

============  ================================================================================================
transform     ``N_FFT`` = 4096 points every ``HOP_LENGTH`` = 1024 samples (at 44.1 kHz: 10.77 Hz and 23.2 ms)
window        periodic Hann, ``0.5 - 0.5 cos(2 pi n / 4096)``, as long as the transform, in both directions
scale         ``1 / sqrt(4096)`` forward, undone by the inverse (torch's ``normalized=True``)
padding       by reflection: 1536 samples left; 1536 and up to the next multiple of 1024 right. A waveform too
              short to be reflected that far is first extended on the right with zeros. Then torch's own
              centring adds 2048 on both sides.
cut away      the Nyquist bin (2049 -> 2048 bins) and two frames at each end, so that frame ``t`` is centred
              512 samples into hop ``t`` and there are ``ceil(samples / 1024)`` frames
put back      by the inverse: one bin and two frames at each end, all zero
============  ================================================================================================

The network was trained on spectrograms computed in exactly this way, so both functions give the same bits as
demucs 4.1.0 (``demucs/htdemucs.py``: ``HTDemucs._spec`` and ``HTDemucs._ispec``) on float32 tensors. For that
reason the window is torch's float32 one, not one computed in float64 and rounded, which differs in last bits.
"""

import torch
from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.core.contract import BINS, HOP_LENGTH, N_FFT
from htdemucs_coreml.errors import HTDemucsCoreMLError

_EDGE_SAMPLES = 3 * HOP_LENGTH // 2
_EDGE_FRAMES = 2


class SpectrogramError(HTDemucsCoreMLError):
    """A tensor does not have the shape or type of a waveform or of a spectrogram."""


def frame_count(samples: int) -> int:
    """Return the number of frames of a waveform of `samples` samples, ``ceil(samples / HOP_LENGTH)``."""
    return -(-samples // HOP_LENGTH)


def spectrogram(waveform: Tensor) -> Tensor:
    """Complex spectrogram of a waveform, as HTDemucs sees it.

    Parameters
    ----------
    waveform : Tensor [..., samples], float32 or float64
        At least one sample; any leading axes, such as stem and channel.

    Returns
    -------
    Tensor [..., 2048, ceil(samples / 1024)], complex64 or complex128
        Leading axes as in `waveform`, then bin and frame.

    Raises
    ------
    SpectrogramError
        If `waveform` is not real floating-point or has no sample.

    Notes
    -----
    Source: demucs 4.1.0, ``HTDemucs._spec``, ``hdemucs.pad1d`` and ``spec.spectro``.
    """
    if waveform.dtype not in (torch.float32, torch.float64) or waveform.ndim < 1 or waveform.shape[-1] == 0:
        raise SpectrogramError(
            f"a waveform of shape {tuple(waveform.shape)} and type {waveform.dtype} has no spectrogram; "
            "give float32 or float64 and at least one sample"
        )
    leading, samples = waveform.shape[:-1], waveform.shape[-1]
    frames = frame_count(samples)
    transformed = torch.stft(
        _reflected(waveform.reshape(-1, samples), frames * HOP_LENGTH),
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        window=_window(waveform),
        center=True,
        pad_mode="reflect",
        normalized=True,
        return_complex=True,
    )
    kept = transformed[:, :BINS, _EDGE_FRAMES : _EDGE_FRAMES + frames]
    return kept.reshape(*leading, BINS, frames)


def waveform_from_spectrogram(spectrogram: Tensor, length: int) -> Tensor:
    """Waveform of a complex spectrogram: the inverse of `spectrogram`.

    What a network returns is in general the spectrogram of no waveform; the result is then the waveform whose
    spectrogram is nearest to it by least squares, given zeros in the bin and in the frames that are put back.

    Parameters
    ----------
    spectrogram : Tensor [..., 2048, frames], complex64 or complex128
        Any leading axes, then bin and frame.
    length : int
        Samples of the waveform, with ``ceil(length / 1024) == frames``.

    Returns
    -------
    Tensor [..., length], float32 or float64

    Raises
    ------
    SpectrogramError
        If `spectrogram` is not complex, or its bins or frames do not fit.

    Notes
    -----
    Source: demucs 4.1.0, ``HTDemucs._ispec`` and ``spec.ispectro``.
    """
    if not spectrogram.is_complex() or spectrogram.ndim < 2 or spectrogram.shape[-2] != BINS:
        raise SpectrogramError(
            f"a tensor of shape {tuple(spectrogram.shape)} and type {spectrogram.dtype} is not a spectrogram;"
            f" give a complex one of shape [..., {BINS}, frames]"
        )
    leading, frames = spectrogram.shape[:-2], spectrogram.shape[-1]
    if length < 1 or frame_count(length) != frames:
        raise SpectrogramError(
            f"a spectrogram of {frames} frames cannot become {length} samples: "
            f"those have {frame_count(length)} frames of {HOP_LENGTH} samples"
        )
    padded = functional.pad(spectrogram.reshape(-1, BINS, frames), (_EDGE_FRAMES, _EDGE_FRAMES, 0, 1))
    waveform = torch.istft(
        padded,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        window=_window(padded.real),
        center=True,
        normalized=True,
        length=frames * HOP_LENGTH + 2 * _EDGE_SAMPLES,
    )
    return waveform[:, _EDGE_SAMPLES : _EDGE_SAMPLES + length].reshape(*leading, length)


def _reflected(waveform: Tensor, target_samples: int) -> Tensor:
    """Reflect ``[n, samples]`` at both ends: to `target_samples` on the right, then by `_EDGE_SAMPLES`."""
    samples = waveform.shape[-1]
    right = target_samples - samples + _EDGE_SAMPLES
    # A reflection needs one sample more than it is long; what is missing becomes silence before reflecting.
    silence = max(0, right + 1 - samples)
    extended = functional.pad(waveform, (0, silence))
    return functional.pad(extended, (_EDGE_SAMPLES, right - silence), mode="reflect")


def _window(like: Tensor) -> Tensor:
    return torch.hann_window(N_FFT).to(like)
