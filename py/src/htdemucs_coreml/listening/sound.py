"""Sounds in the form that a page holds them in."""

import io

import numpy as np
import soundfile

from htdemucs_coreml.listening.description import Samples
from htdemucs_coreml.listening.errors import ListeningError

MEDIA_TYPE = "audio/flac"
CODEC = "FLAC, 16 bits"
_LARGEST = 32767


def flac(samples: Samples, sample_rate_hz: int) -> bytes:
    """Encode as FLAC of 16 bits, rounded to the nearest and without dither; what is beyond full scale is clipped.

    Parameters
    ----------
    samples : ndarray [2, n], float32
        Finite.
    sample_rate_hz : int
        Their rate.

    Raises
    ------
    ListeningError
        If libsndfile cannot encode them.
    """
    integers = np.clip(np.rint(samples.T * np.float64(_LARGEST)), -_LARGEST, _LARGEST).astype(np.int16)
    encoded = io.BytesIO()
    try:
        soundfile.write(encoded, integers, sample_rate_hz, format="FLAC", subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise ListeningError(
            f"an excerpt cannot be encoded as FLAC: {error.error_string}; try another length"
        ) from error
    return encoded.getvalue()
