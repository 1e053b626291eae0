"""How well a network separates songs: SDR and SI-SDR of the stems that sound, leakage of those that do not."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from htdemucs_coreml.songs.quality import SongScore


@dataclasses.dataclass(frozen=True)
class StemMedians:
    """Of one stem over songs; None where no song says anything.

    Attributes
    ----------
    sdr_db, si_sdr_db : float or None
        Medians over the songs in which the stem sounds.
    leakage_db : float or None
        The worst over the songs in which it is silent, relative to the mix.
    """

    sdr_db: float | None
    si_sdr_db: float | None
    leakage_db: float | None


def medians(scores: Sequence[SongScore]) -> Mapping[str, StemMedians]:
    """By stem; what is silent throughout a song counts for its leakage only."""
    stems = dict.fromkeys(name for score in scores for name in score.stems)
    return {
        name: StemMedians(
            _median([score.stems[name].snr_db for score in scores]),
            _median([score.stems[name].si_sdr_db for score in scores]),
            _worst([score.stems[name].leakage_db for score in scores]),
        )
        for name in stems
    }


def mean_sdr_db(stems: Mapping[str, StemMedians]) -> float:
    """Mean over stems of their median SDR."""
    return statistics.fmean(stem.sdr_db for stem in stems.values() if stem.sdr_db is not None)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _worst(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
