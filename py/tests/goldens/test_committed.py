"""Committed goldens are whole and what their generator writes, and agree with definitions, upstream and our code."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs
from numpy.typing import NDArray

from committed_goldens import REPOSITORY, SMALL_GOLDENS, kept, members
from htdemucs_coreml.core.contract import HOP_LENGTH, N_FFT
from htdemucs_coreml.goldens.comparison import first_difference
from htdemucs_coreml.goldens.reading import open_goldens
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.pipeline.chunk_plan import ChunkPlan, DemucsPlan, DesignPlan, Ramp
from htdemucs_coreml.spectrogram import spectrogram, waveform_from_spectrogram

GOLDENS = open_goldens(SMALL_GOLDENS)
STFTS = members("stft")
INVERSES = {
    "istft/music": "stft/music",
    "istft/music_1024": "stft/music_1024",
    "istft/noise_spectrogram": "istft/noise_spectrogram",
}
# Half a step of the coarsest grid, the rounding to float32, and a little.
OF_PEAK = 2.0**-24
RTOL, ATOL = 1e-5, 1e-6

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


class Upstream:
    """demucs' two methods, which ask nothing of a model but its transform's size and hop."""

    def __init__(self, n_fft: int, hop_length: int) -> None:
        self.nfft = n_fft
        self.hop_length = hop_length

    def spectrogram(self, mix: Real) -> Complex:
        result: Complex = HTDemucs.__dict__["_spec"](self, torch.from_numpy(mix)).numpy()
        return result

    def waveform(self, transformed: Complex, length: int) -> Real:
        result: Real = HTDemucs.__dict__["_ispec"](self, torch.from_numpy(transformed), length).numpy()
        return result


def waveform(name: str) -> Real:
    return GOLDENS.load(name, np.float32).astype(np.float64)


def complex_spectrogram(folder: str) -> Complex:
    real, imag = (waveform(f"{folder}/spectrogram_{part}") for part in ("real", "imag"))
    result: Complex = real + 1j * imag
    return result


def kept_bins(folder: str, whole: Complex) -> Complex:
    return kept(GOLDENS, f"{folder}/spectrogram_real", whole)


def parameters(folder: str) -> tuple[int, int]:
    n_fft, hop_length = GOLDENS.load(f"{folder}/parameters", np.int64, (2,)).tolist()
    return n_fft, hop_length


def hann(n_fft: int) -> Real:
    window: Real = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return window


def transformed(padded: Real, frames: int, n_fft: int, hop_length: int) -> Complex:
    """Frames of an STFT by its definition, each a Fourier transform of a windowed piece."""
    pieces = [padded[:, start : start + n_fft] * hann(n_fft) for start in range(0, frames * hop_length, hop_length)]
    return np.stack([np.fft.rfft(piece) / np.sqrt(n_fft) for piece in pieces], axis=-1)


def inverted(spectra: Complex, n_fft: int, hop_length: int) -> Real:
    """Least-squares inverse by its definition (Griffin and Lim, 1984): windowed pieces over summed squared windows."""
    frames = spectra.shape[-1]
    pieces = np.fft.irfft(spectra * np.sqrt(n_fft), axis=1)
    summed = np.zeros((2, (frames - 1) * hop_length + n_fft))
    squares = np.zeros(summed.shape[-1])
    for frame in range(frames):
        place = slice(frame * hop_length, frame * hop_length + n_fft)
        summed[:, place] += pieces[..., frame] * hann(n_fft)
        squares[place] += hann(n_fft) ** 2
    # The first and last sample of all are under no window; no golden keeps them.
    waveform: Real = summed / np.maximum(squares, np.finfo(np.float64).tiny)
    return waveform


def assert_near(actual: Real | Complex, expected: Real | Complex, of_peak: float) -> None:
    assert actual.shape == expected.shape
    peak = float(np.abs(expected).max())
    assert float(np.abs(actual - expected).max()) <= of_peak * peak


def parts(values: Complex) -> torch.Tensor:
    return torch.view_as_real(torch.from_numpy(values))


def test_every_file_is_what_the_manifest_says_and_nothing_else_lies_there() -> None:
    GOLDENS.check()


def test_they_are_small() -> None:
    assert sum(entry.bytes for entry in GOLDENS.entries.values()) <= 8_000_000


def test_every_generator_is_a_file_of_the_repository() -> None:
    for entry in GOLDENS.entries.values():
        assert (REPOSITORY / entry.generator).is_file(), entry.generator


def test_the_generator_writes_the_same_bytes_with_other_kernels(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "py" / "src"),
        "ATEN_CPU_CAPABILITY": "default",
        "OMP_NUM_THREADS": "2",
        "PYTHONWARNINGS": "ignore",
    }
    generator = REPOSITORY / "py" / "goldens" / "small.py"
    subprocess.run([sys.executable, str(generator), str(tmp_path / "small")], env=environment, check=True)
    assert first_difference(SMALL_GOLDENS, tmp_path / "small") is None


@pytest.mark.parametrize("folder", STFTS)
def test_spectrograms_agree_with_the_definition(folder: str) -> None:
    n_fft, hop_length = parameters(folder)
    mix = waveform(f"{folder}/input")
    frames = -(-mix.shape[-1] // hop_length)
    right = frames * hop_length - mix.shape[-1]
    edge = 3 * hop_length // 2
    padded = np.pad(mix, ((0, 0), (edge, edge + right)), mode="reflect")
    expected = kept_bins(folder, transformed(padded, frames, n_fft, hop_length)[:, :-1])
    assert_near(complex_spectrogram(folder), expected, OF_PEAK)


def test_pytorchs_spectrogram_agrees_with_the_definition() -> None:
    n_fft, hop_length = parameters("torch_stft/music")
    mix = waveform("stft/music/input")
    padded = np.pad(mix, ((0, 0), (n_fft // 2, n_fft // 2)), mode="reflect")
    expected = transformed(padded, 1 + mix.shape[-1] // hop_length, n_fft, hop_length)
    assert_near(complex_spectrogram("torch_stft/music"), expected, OF_PEAK)


@pytest.mark.parametrize(("folder", "source"), INVERSES.items())
def test_inverses_agree_with_the_definition(folder: str, source: str) -> None:
    n_fft, hop_length = parameters(source)
    expected = waveform(f"{folder}/waveform")
    whole = inverted(np.pad(complex_spectrogram(source), ((0, 0), (0, 1), (2, 2))), n_fft, hop_length)
    start = n_fft // 2 + 3 * hop_length // 2
    assert_near(whole[:, start : start + expected.shape[-1]], expected, OF_PEAK)


def test_pytorchs_inverse_agrees_with_the_definition() -> None:
    n_fft, hop_length = parameters("torch_stft/music")
    expected = waveform("torch_istft/music/waveform")
    whole = inverted(complex_spectrogram("torch_stft/music"), n_fft, hop_length)
    assert_near(whole[:, n_fft // 2 : n_fft // 2 + expected.shape[-1]], expected, OF_PEAK)


@pytest.mark.parametrize("folder", STFTS)
def test_spectrograms_agree_with_upstream(folder: str) -> None:
    upstream = Upstream(*parameters(folder)).spectrogram(waveform(f"{folder}/input"))
    np.testing.assert_allclose(kept_bins(folder, upstream), complex_spectrogram(folder), rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize(("folder", "source"), INVERSES.items())
def test_inverses_agree_with_upstream(folder: str, source: str) -> None:
    expected = waveform(f"{folder}/waveform")
    upstream = Upstream(*parameters(source)).waveform(complex_spectrogram(source), expected.shape[-1])
    np.testing.assert_allclose(upstream, expected, rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("folder", [folder for folder in STFTS if parameters(folder) == (N_FFT, HOP_LENGTH)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_our_spectrograms_agree(folder: str, dtype: torch.dtype) -> None:
    actual = spectrogram(torch.from_numpy(waveform(f"{folder}/input")).to(dtype)).numpy()
    np.testing.assert_allclose(kept_bins(folder, actual), complex_spectrogram(folder), rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("folder", ["stft/music", "stft/quiet_music"])
def test_our_float32_spectrograms_of_music_keep_130_db_at_any_level(folder: str) -> None:
    actual = kept_bins(
        folder, spectrogram(torch.from_numpy(GOLDENS.load(f"{folder}/input", np.float32).copy())).numpy()
    )
    expected = complex_spectrogram(folder)
    assert snr_db(parts(actual), parts(expected)) >= 130


@pytest.mark.parametrize("folder", ["istft/music", "istft/noise_spectrogram"])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_our_inverses_agree(folder: str, dtype: torch.dtype) -> None:
    expected = waveform(f"{folder}/waveform")
    stored = torch.from_numpy(complex_spectrogram(INVERSES[folder])).to(dtype)
    actual = waveform_from_spectrogram(stored, expected.shape[-1]).numpy()
    np.testing.assert_allclose(actual, expected, rtol=RTOL, atol=ATOL)


def test_sines_lie_in_their_bins_and_silence_is_silent() -> None:
    sines = complex_spectrogram("stft/sines")
    left = np.abs(sines[0, :, 3])
    assert GOLDENS.entry("stft/sines/spectrogram_real").kept is not None
    # Bins 40 and 400 are the 8th and 80th of every fifth. A sine of peak a gives a / 2 * 2048 / 64 there.
    assert left[8] == pytest.approx(0.5 * 16, rel=1e-3)
    assert left[80] == pytest.approx(0.25 * 16, rel=1e-3)
    assert np.delete(left, [8, 80]).max() < 1e-2
    assert not complex_spectrogram("stft/silence").any()


@pytest.mark.parametrize("folder", members("chunk_plan"))
def test_our_chunk_plans_agree(folder: str) -> None:
    segment_samples, stride_samples, track_samples = GOLDENS.load(f"{folder}/parameters", np.int64, (3,)).tolist()
    segments = list(plan_of(folder, segment_samples, stride_samples).segments(track_samples))
    reads = [(segment.context_start, segment.context_start + segment_samples) for segment in segments]
    outputs = [(segment.start, segment.stop) for segment in segments]
    weights = torch.cat([segment.weights for segment in segments]).numpy()
    assert GOLDENS.load(f"{folder}/reads", np.int64).tolist() == [list(pair) for pair in reads]
    assert GOLDENS.load(f"{folder}/outputs", np.int64).tolist() == [list(pair) for pair in outputs]
    entry = GOLDENS.entry(f"{folder}/weights")
    assert len(weights) == (entry.kept.stop if entry.kept else entry.shape[0])
    expected = GOLDENS.load(f"{folder}/weights", np.float32)
    np.testing.assert_allclose(kept(GOLDENS, f"{folder}/weights", weights), expected, rtol=2.0**-23, atol=0)


def plan_of(folder: str, segment_samples: int, stride_samples: int) -> ChunkPlan:
    kind, *rest = folder.removeprefix("chunk_plan/").split("_")
    if kind == "demucs":
        return DemucsPlan(segment_samples, stride_samples)
    return DesignPlan(segment_samples, stride_samples, Ramp(rest[0]))
