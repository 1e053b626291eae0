"""Spectrograms show a tone at its pitch and time, and differences at their level."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from htdemucs_coreml.charts import colour_map
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.listening.description import Samples
from htdemucs_coreml.listening.pictures import HEIGHT, HIGHEST_HZ, LOWEST_HZ, RANGE_DB, WIDTH, pictures, powers
from listening_reports import noise

SILENCE = np.zeros((2, SAMPLE_RATE_HZ), np.float32)


def _tone(hertz: float, amplitude: float = 0.5) -> Samples:
    tone = amplitude * np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)
    return np.stack([tone, tone]).astype(np.float32)


def _levels_db(png: bytes) -> NDArray[np.float64]:
    """Levels of a picture's points, below the brightest colour."""
    image = Image.open(io.BytesIO(png))
    assert image.size == (WIDTH, HEIGHT)
    places = {tuple(colour): at for at, colour in enumerate(colour_map("magma").tolist())}
    colours = np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
    indices = np.array([places[tuple(colour)] for colour in colours]).reshape(HEIGHT, WIDTH)
    return (indices / 255 - 1) * RANGE_DB


def _row(hertz: float) -> float:
    return HEIGHT * float(np.log(HIGHEST_HZ / hertz) / np.log(HIGHEST_HZ / LOWEST_HZ))


@pytest.mark.parametrize("hertz", [60.0, 440.0, 1000.0, 10000.0])
def test_a_tone_is_brightest_at_its_pitch(hertz: float) -> None:
    brightest = np.argmax(powers(_tone(hertz), SAMPLE_RATE_HZ).mean(axis=1))
    assert abs(brightest + 0.5 - _row(hertz)) < 1.5


def test_a_sound_stands_where_it_sounds() -> None:
    late = noise(1, SAMPLE_RATE_HZ)
    late[:, : SAMPLE_RATE_HZ // 2] = 0
    columns = powers(late, SAMPLE_RATE_HZ).mean(axis=0)
    quiet = int(WIDTH * (0.5 - 2048 / SAMPLE_RATE_HZ)) - 1
    assert columns[:quiet].max() == pytest.approx(0, abs=columns.max() * 1e-12)
    assert columns[WIDTH // 2 + 1 :].min() > 0.01 * columns.max()


def test_no_energy_is_lost_between_rows() -> None:
    sound = noise(1, SAMPLE_RATE_HZ)
    edges = np.geomspace(HIGHEST_HZ, LOWEST_HZ, HEIGHT + 1)
    means = powers(sound, SAMPLE_RATE_HZ).mean(axis=1)
    # White noise has as much of it in any hertz.
    assert means[:60].mean() == pytest.approx(means[60:110].mean(), rel=0.15)
    assert (edges[:-1] > edges[1:]).all()


def test_a_difference_is_as_dark_as_it_is_soft() -> None:
    reference = _tone(1000)
    drawn = pictures(reference, {"near": reference * np.float32(0.99)}, reference, SAMPLE_RATE_HZ)
    assert _levels_db(drawn.reference).max() == 0
    assert _levels_db(drawn.results["near"]).max() == pytest.approx(20 * np.log10(0.99), abs=0.32)
    assert _levels_db(drawn.differences["near"]).max() == pytest.approx(-40, abs=0.32)


def test_an_exact_result_leaves_a_dark_difference() -> None:
    drawn = pictures(_tone(1000), {"same": _tone(1000)}, _tone(1000), SAMPLE_RATE_HZ)
    assert drawn.results["same"] == drawn.reference
    assert _levels_db(drawn.differences["same"]).max() == -RANGE_DB


def test_leakage_into_a_silent_stem_is_measured_by_the_mix() -> None:
    mix = _tone(1000)
    drawn = pictures(SILENCE, {"leaky": mix * np.float32(0.1)}, mix, SAMPLE_RATE_HZ)
    assert _levels_db(drawn.reference).max() == -RANGE_DB
    assert _levels_db(drawn.results["leaky"]).max() == pytest.approx(-20, abs=0.32)


def test_silence_is_dark() -> None:
    drawn = pictures(SILENCE, {"silent": SILENCE}, SILENCE, SAMPLE_RATE_HZ)
    assert _levels_db(drawn.reference).max() == -RANGE_DB
    assert drawn.reference == drawn.results["silent"] == drawn.differences["silent"]
