"""How well stems are separated, measured against true ones: per stem, per song, and over songs.

Four figures in decibels, which differ in what they forgive:

- *SNR*: of the whole song at once; forgives nothing.
- *SI-SDR*: the same after the best gain.
- *SDR*: museval's (BSSEval v4): the median over frames of one second. The filters of 512 taps by which BSSEval tells
  distortion from interference and artefacts cancel in their sum, ``(s_true + e_spat + e_interf + e_artif) - s_true``: a
  frame's SDR is its SNR. Source: museval 0.4.1, ``metrics._bss_decomp_mtifilt`` and ``_bss_crit``.
- *global SDR*: that of the Music Demixing Challenge: the SNR with 1e-7 added to both energies, so that silence has a
  figure, too. Source: Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022.

Silence where nothing should sound has no SNR: there the leakage is told, the stem's level below the mix.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import MetricError, leakage_db, si_sdr_db, snr_db

FRAME_SAMPLES = SAMPLE_RATE_HZ
_CHALLENGE_DELTA = 1e-7


@dataclass(frozen=True)
class StemScore:
    """Figures of one stem of one song; None where a figure has no meaning.

    Attributes
    ----------
    snr_db, si_sdr_db : float or None
        None if the true stem is silent.
    sdr_db : float or None
        museval's; None if no frame can be scored.
    global_sdr_db : float
        The Music Demixing Challenge's.
    leakage_db : float or None
        Level of a stem that should be silent, relative to the mix; None for others.
    maximum_error : float
        Of any sample, full scale 1.
    """

    snr_db: float | None
    si_sdr_db: float | None
    sdr_db: float | None
    global_sdr_db: float
    leakage_db: float | None
    maximum_error: float


@dataclass(frozen=True)
class SongScore:
    """Figures of one song: a score for each stem by its name."""

    song: str
    stems: Mapping[str, StemScore]


def score_song(song: str, estimates: Mapping[str, Tensor], references: Mapping[str, Tensor]) -> SongScore:
    """Score separated stems.

    Parameters
    ----------
    song : str
        Its name.
    estimates, references : mapping of str to Tensor [2, samples], real
        Stems by their names, full scale 1. The mix is the sum of the references.

    Raises
    ------
    MetricError
        If names, shapes or lengths differ.
    """
    if estimates.keys() != references.keys() or not references:
        raise MetricError(f"{song}: stems {', '.join(estimates)} cannot be compared with {', '.join(references)}")
    names = list(references)
    shapes = {tuple(signal.shape) for signal in (*estimates.values(), *references.values())}
    if len(shapes) != 1:
        raise MetricError(f"{song}: stems of different shapes cannot be compared: {sorted(shapes)}")
    judged = torch.stack([estimates[name].detach().to(torch.float64) for name in names])
    truth = torch.stack([references[name].detach().to(torch.float64) for name in names])
    mix = truth.sum(dim=0)
    sdr = museval_sdr_db(judged, truth)
    return SongScore(song, {name: _stem_score(judged[at], truth[at], mix, sdr[at]) for at, name in enumerate(names)})


def museval_sdr_db(estimates: Tensor, references: Tensor) -> list[float | None]:
    """The SDR that museval reports for each stem, in its default mode ``v4``: the median over frames of one second.

    A frame in which any stem is silent, true or estimated, counts for none; so does what is left at the end of a song
    of more than a second. Silence is a sum over channels that is zero throughout, as museval has it.

    Parameters
    ----------
    estimates, references : Tensor [stems, channels, samples], real

    Returns
    -------
    list of float or None
        None for each stem if no frame counts; ``inf`` where most frames are exact.

    Raises
    ------
    MetricError
        If the shapes differ, or there is no sample.
    """
    if estimates.shape != references.shape or references.ndim != 3 or references.numel() == 0:
        shapes = f"{tuple(estimates.shape)} and {tuple(references.shape)}"
        raise MetricError(f"stems of shapes {shapes} cannot be compared")
    samples = references.shape[2]
    frames = max(1, samples // FRAME_SAMPLES)
    per_stem: list[list[float]] = [[] for _ in references]
    for frame in range(frames):
        window = slice(frame * FRAME_SAMPLES, min((frame + 1) * FRAME_SAMPLES, samples))
        judged = estimates[:, :, window].to(torch.float64)
        truth = references[:, :, window].to(torch.float64)
        if _any_silent(truth) or _any_silent(judged):
            continue
        for scores, estimate, reference in zip(per_stem, judged, truth, strict=True):
            scores.append(snr_db(estimate, reference))
    return [statistics.median(scores) if scores else None for scores in per_stem]


def global_sdr_db(estimate: Tensor, reference: Tensor) -> float:
    """The SDR of the Music Demixing Challenge for one stem.

    Parameters
    ----------
    estimate, reference : Tensor [...], real
        Equal shapes, full scale 1.

    Raises
    ------
    MetricError
        If the shapes differ.
    """
    if estimate.shape != reference.shape:
        raise MetricError(f"signals of shapes {tuple(estimate.shape)}, {tuple(reference.shape)} cannot be compared")
    truth = reference.detach().to(torch.float64)
    error = truth - estimate.detach().to(torch.float64)
    if not bool(torch.isfinite(error).all()):
        return -math.inf
    signal, noise = float(truth.square().sum()), float(error.square().sum())
    return 10 * math.log10((signal + _CHALLENGE_DELTA) / (noise + _CHALLENGE_DELTA))


def over_songs(scores: Sequence[SongScore]) -> dict[str, StemScore]:
    """One row a stem over all songs, and one named ``all`` over all stems.

    Decibels are medians over songs, as museval's users report them, but for the global SDR, which is a mean, as in the
    challenge. Leakage and maximum error are the worst of all.
    """
    stems = list(dict.fromkeys(name for score in scores for name in score.stems))
    rows = {name: _merged([score.stems[name] for score in scores if name in score.stems]) for name in stems}
    if rows:
        rows["all"] = _merged([score for song in scores for score in song.stems.values()])
    return rows


def _stem_score(estimate: Tensor, reference: Tensor, mix: Tensor, sdr: float | None) -> StemScore:
    is_silent = not bool(reference.any())
    return StemScore(
        snr_db=None if is_silent else snr_db(estimate, reference),
        si_sdr_db=None if is_silent else si_sdr_db(estimate, reference),
        sdr_db=sdr,
        global_sdr_db=global_sdr_db(estimate, reference),
        leakage_db=leakage_db(estimate, mix) if is_silent else None,
        maximum_error=_maximum_error(estimate, reference),
    )


def _maximum_error(estimate: Tensor, reference: Tensor) -> float:
    """Infinite where a sample is not finite: no comparison may pass on it."""
    error = float((estimate - reference).abs().max())
    return error if math.isfinite(error) else math.inf


def _any_silent(stems: Tensor) -> bool:
    return bool((stems.sum(dim=1) == 0).all(dim=1).any())


def _merged(scores: Sequence[StemScore]) -> StemScore:
    leakages = [score.leakage_db for score in scores if score.leakage_db is not None]
    return StemScore(
        snr_db=_median([score.snr_db for score in scores]),
        si_sdr_db=_median([score.si_sdr_db for score in scores]),
        sdr_db=_median([score.sdr_db for score in scores]),
        global_sdr_db=statistics.fmean(score.global_sdr_db for score in scores),
        leakage_db=max(leakages, default=None),
        maximum_error=max(score.maximum_error for score in scores),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
