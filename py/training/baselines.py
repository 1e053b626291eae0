"""What separation costs without a model: the mix itself, and a mask that knows the true stems."""

import torch
from torch import Tensor

_WINDOW = 4096
_HOP = 1024


def mix_as_stems(truth: Tensor) -> Tensor:
    """The mix in the place of every stem: what doing nothing scores.

    Parameters
    ----------
    truth : Tensor [stems, 2, samples], float32

    Returns
    -------
    Tensor [stems, 2, samples]
    """
    return truth.sum(dim=0, keepdim=True).expand_as(truth)


def ideal_mask_stems(truth: Tensor) -> Tensor:
    """The mix through masks of the true stems' power: what a masking model of this resolution can reach at best.

    Each bin of the mix's spectrogram (4096 samples, hop 1024, Hann) is shared out by the power of the true stems there.
    Source: the oracle ``IRM2`` of the signal separation evaluation campaign 2018 (Stöter, Liutkus, Ito, "The 2018
    Signal Separation Evaluation Campaign", LVA/ICA 2018).

    Parameters
    ----------
    truth : Tensor [stems, 2, samples], float32

    Returns
    -------
    Tensor [stems, 2, samples]
    """
    stems, channels, samples = truth.shape
    window = torch.hann_window(_WINDOW)

    def spectrogram(signal: Tensor) -> Tensor:
        return torch.stft(signal, _WINDOW, _HOP, window=window, return_complex=True)

    power = spectrogram(truth.reshape(stems * channels, samples)).abs().square()
    power = power.reshape(stems, channels, *power.shape[1:])
    total = power.sum(dim=0)
    masks = torch.where(total > 0, power / total.clamp(min=torch.finfo(total.dtype).tiny), 0.0)
    masked = (masks * spectrogram(truth.sum(dim=0))).reshape(stems * channels, *total.shape[1:])
    return torch.istft(masked, _WINDOW, _HOP, window=window, length=samples).reshape(truth.shape)
