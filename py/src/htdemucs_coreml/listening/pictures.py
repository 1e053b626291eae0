"""Spectrograms as pictures whose colours and axes are those of every other picture of the same stem."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from htdemucs_coreml.charts import colour_map
from htdemucs_coreml.listening.description import Samples

LOWEST_HZ, HIGHEST_HZ = 40.0, 20000.0
RANGE_DB = 80.0
WIDTH, HEIGHT = 480, 144
_WINDOW_SAMPLES = 4096
_COLOURS = "magma"

Powers = NDArray[np.float64]
"""Mean power [HEIGHT, WIDTH] of each of a picture's points, the highest frequency first."""


@dataclass(frozen=True)
class Pictures:
    """PNG files: of a reference, and of one result, that result's difference from it."""

    reference: bytes
    results: dict[str, bytes]
    differences: dict[str, bytes]


def pictures(reference: Samples, results: Mapping[str, Samples], mix: Samples, sample_rate_hz: int) -> Pictures:
    """Draw a stem: brightest is the loudest point of the reference or, if it is silent, of the mix.

    Darkest is 80 dB below.
    """
    truth = powers(reference, sample_rate_hz)
    loudest = float(truth.max()) or float(powers(mix, sample_rate_hz).max())
    return Pictures(
        _png(truth, loudest),
        {name: _png(powers(result, sample_rate_hz), loudest) for name, result in results.items()},
        {name: _png(powers(reference - result, sample_rate_hz), loudest) for name, result in results.items()},
    )


def powers(samples: Samples, sample_rate_hz: int) -> Powers:
    """Mean power over both channels and over each point's frequencies, 40 Hz to 20 kHz, equally wide in pitch.

    Parameters
    ----------
    samples : ndarray [2, n], float32
        At least one sample.
    sample_rate_hz : int
        Their rate.

    Returns
    -------
    ndarray [HEIGHT, WIDTH], float64
        Power through windows of 4096 samples (periodic Hann) around the middle of each column.
    """
    half = _WINDOW_SAMPLES // 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW_SAMPLES) / _WINDOW_SAMPLES)
    padded = np.pad(samples.astype(np.float64), ((0, 0), (half, half)))
    middles = ((np.arange(WIDTH) + 0.5) * samples.shape[1] / WIDTH).astype(int)
    frames = np.stack([padded[:, at : at + _WINDOW_SAMPLES] for at in middles], axis=1) * window
    spectra = np.square(np.abs(np.fft.rfft(frames, axis=2))).mean(axis=0)

    # Rows are narrower than bins at low frequencies and wider at high ones: each takes what lies between its edges.
    bin_edges = (np.arange(spectra.shape[1] + 1) - 0.5) * sample_rate_hz / _WINDOW_SAMPLES
    energy_below = np.concatenate([np.zeros((WIDTH, 1)), np.cumsum(spectra, axis=1)], axis=1)
    row_edges = np.geomspace(HIGHEST_HZ, LOWEST_HZ, HEIGHT + 1)
    at_edges = np.stack([np.interp(row_edges, bin_edges, column) for column in energy_below], axis=1)
    widths = (row_edges[:-1] - row_edges[1:])[:, None]
    means: Powers = (at_edges[:-1] - at_edges[1:]) / widths
    return means


def _png(power: Powers, loudest: float) -> bytes:
    # Where the mix is silent, too, anything is as loud as can be.
    relative = power / loudest if loudest > 0.0 else np.where(power > 0.0, 1.0, 0.0)
    levels_db = 10 * np.log10(np.clip(relative, 10 ** (-RANGE_DB / 10), 1.0))
    image = Image.fromarray(np.rint((levels_db / RANGE_DB + 1) * 255).astype(np.uint8))
    image.putpalette(colour_map(_COLOURS).tobytes())
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=9)
    return file.getvalue()
