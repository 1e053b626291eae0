"""How near separated stems are to a reference, in decibels, so that a gate can rely on the figure.

All are computed in float64 over all elements. Every comparison is against the energy of the *reference* or of
the mix, never of what is being judged, which could otherwise set its own scale. What cannot be scored fails
any gate written as ``score >= floor`` (or ``leakage <= ceiling``): a NaN or infinite sample in any argument
gives the worst value there is.
"""

import math

import torch
from torch import Tensor

from htdemucs_coreml.errors import HTDemucsCoreMLError

QUIET_STEM_DB = -30.0
"""A stem below this level, relative to the mix, is scored as if it had this level (see `stem_snr_db`)."""


class MetricError(HTDemucsCoreMLError):
    """Signals that are compared differ in shape or are empty."""


def snr_db(estimate: Tensor, reference: Tensor) -> float:
    """Signal-to-noise ratio, ``10 log10(sum reference^2 / sum (estimate - reference)^2)``.

    Parameters
    ----------
    estimate, reference : Tensor [...], real
        Equal shapes, at least one element.

    Returns
    -------
    float
        ``inf`` where both are equal, silence included; ``-inf`` where only the reference is silent, or where
        any sample is NaN or infinite.

    Raises
    ------
    MetricError
        If the shapes differ or there is no element.
    """
    signals = _float64(estimate, reference)
    if signals is None:
        return -math.inf
    judged, truth = signals
    return _ratio_db(_energy(truth), _energy(judged - truth))


def si_sdr_db(estimate: Tensor, reference: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio: the SNR after the best scaling of the reference.

    Blind to gain by construction: it belongs beside `snr_db`, not in its place.

    Parameters
    ----------
    estimate, reference : Tensor [...], real
        Equal shapes, at least one element. Means are not removed.

    Returns
    -------
    float
        ``inf`` where the estimate is a multiple (not zero) of the reference or both are silent; ``-inf``
        where only one is silent, or where any sample is NaN or infinite.

    Raises
    ------
    MetricError
        If the shapes differ or there is no element.

    Notes
    -----
    Source: Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 3.
    """
    signals = _float64(estimate, reference)
    if signals is None:
        return -math.inf
    judged, truth = signals
    reference_energy, estimate_energy = _energy(truth), _energy(judged)
    if reference_energy == 0.0 or estimate_energy == 0.0:
        return math.inf if reference_energy == estimate_energy else -math.inf
    target = truth * (float((judged * truth).sum()) / reference_energy)
    return _ratio_db(_energy(target), _energy(judged - target))


def stem_snr_db(estimate: Tensor, reference: Tensor, mix: Tensor) -> float:
    """SNR of a stem, where quiet stems are held to what is audible in the mix.

    A stem far quieter than the mix has a low SNR against itself for no audible reason. One more than 30 dB
    below the mix is therefore scored against the mix's energy - 30 dB; a silent one too, which then asks how
    loud what leaked into it is.

    Parameters
    ----------
    estimate, reference, mix : Tensor [...], real
        Equal shapes, at least one element.

    Returns
    -------
    float
        As `snr_db`, with the reference's energy at least that of the mix - 30 dB.

    Raises
    ------
    MetricError
        If the shapes differ or there is no element.
    """
    signals = _float64(estimate, reference, mix)
    if signals is None:
        return -math.inf
    judged, truth, whole = signals
    audible_energy = _energy(whole) * 10 ** (QUIET_STEM_DB / 10)
    return _ratio_db(max(_energy(truth), audible_energy), _energy(judged - truth))


def leakage_db(estimate: Tensor, mix: Tensor) -> float:
    """Level of a stem that should be silent, relative to the mix: lower is better.

    Parameters
    ----------
    estimate, mix : Tensor [...], real
        Equal shapes, at least one element.

    Returns
    -------
    float
        ``-inf`` where the estimate is silent; ``inf`` where only the mix is, or where any sample is NaN or
        infinite.

    Raises
    ------
    MetricError
        If the shapes differ or there is no element.
    """
    signals = _float64(estimate, mix)
    if signals is None:
        return math.inf
    leaked, whole = signals
    return -_ratio_db(_energy(whole), _energy(leaked))


def _float64(*signals: Tensor) -> tuple[Tensor, ...] | None:
    """Convert signals to float64, or give None where a sample is not finite."""
    shapes = [tuple(signal.shape) for signal in signals]
    if len(set(shapes)) != 1 or signals[0].numel() == 0:
        raise MetricError(f"signals of shapes {', '.join(map(str, shapes))} cannot be compared")
    converted = tuple(signal.detach().to(torch.float64) for signal in signals)
    return converted if all(bool(torch.isfinite(signal).all()) for signal in converted) else None


def _energy(signal: Tensor) -> float:
    return float(signal.square().sum())


def _ratio_db(signal_energy: float, noise_energy: float) -> float:
    if noise_energy == 0.0:
        return math.inf
    if signal_energy == 0.0:
        return -math.inf
    return 10 * (math.log10(signal_energy) - math.log10(noise_energy))
