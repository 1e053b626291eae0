"""Goldens of the STFT and its inverse: HTDemucs' (``stft``, ``istft``), PyTorch's (``torch_stft``, ``torch_istft``).

Everything is computed in float64 with a periodic Hann window of float64. Upstream takes a float32 window whatever the
waveform's type, and that window differs between processors; the goldens are 2e-8 of the peak away from it.

Sources: demucs 4.1.0, ``HTDemucs._spec``, ``HTDemucs._ispec``; ``torch.stft``, ``torch.istft``.
"""

from dataclasses import dataclass

import golden_signals as signals
import numpy as np
import torch
from numpy.typing import NDArray

from htdemucs_coreml.goldens.grid import on_grid, step_exponent
from htdemucs_coreml.goldens.manifest import AxisSlice
from htdemucs_coreml.goldens.writing import GoldenWriter

GENERATOR = "py/goldens/stft_goldens.py"
BITS_BELOW_PEAK = 27
# Measured between numpy and PyTorch, on every instruction set at hand: at most 5e-16 of the peak.
RELATIVE_SPREAD = 2e-15

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_WAVEFORM_SCALE = "full scale 1.0"
_SPECTROGRAM_SCALE = "of a waveform of full scale 1.0; divided by sqrt(n_fft)"
_WAVEFORM_AXES = ("channel", "sample")
_SPECTROGRAM_AXES = ("channel", "bin", "frame")


@dataclass(frozen=True)
class Transform:
    """Size of an STFT; the window is as long as the transform."""

    n_fft: int = 4096
    hop_length: int = 1024

    @property
    def bins(self) -> int:
        """Bins that HTDemucs keeps: all but Nyquist."""
        return self.n_fft // 2

    @property
    def edge_samples(self) -> int:
        """Samples that HTDemucs adds at each end."""
        return 3 * self.hop_length // 2

    def frames(self, samples: int) -> int:
        """Frames that HTDemucs makes of a waveform."""
        return -(-samples // self.hop_length)

    def window(self) -> torch.Tensor:
        """Periodic Hann window in float64."""
        return torch.hann_window(self.n_fft, periodic=True, dtype=torch.float64)


DEMUCS = Transform()
SHORT = Transform(n_fft=1024, hop_length=256)


def torch_stft(waveform: Real, transform: Transform) -> Complex:
    """PyTorch's STFT: centred, padded by reflection, normalised. ``[2, n]`` to ``[2, n_fft / 2 + 1, 1 + n // hop]``."""
    result: Complex = torch.stft(
        torch.from_numpy(waveform),
        n_fft=transform.n_fft,
        hop_length=transform.hop_length,
        window=transform.window(),
        center=True,
        pad_mode="reflect",
        normalized=True,
        return_complex=True,
    ).numpy()
    return result


def torch_istft(spectrogram: Complex, length: int, transform: Transform) -> Real:
    """PyTorch's inverse of `torch_stft`."""
    result: Real = torch.istft(
        torch.from_numpy(spectrogram),
        n_fft=transform.n_fft,
        hop_length=transform.hop_length,
        window=transform.window(),
        center=True,
        normalized=True,
        length=length,
    ).numpy()
    return result


def demucs_stft(waveform: Real, transform: Transform) -> Complex:
    """HTDemucs' STFT: ``[2, n]`` to ``[2, n_fft / 2, ceil(n / hop)]``, for n >= n_fft."""
    samples = waveform.shape[-1]
    frames = transform.frames(samples)
    edge = transform.edge_samples
    padded = np.pad(waveform, ((0, 0), (edge, edge + frames * transform.hop_length - samples)), mode="reflect")
    return torch_stft(padded, transform)[:, :-1, 2 : 2 + frames]


def demucs_istft(spectrogram: Complex, length: int, transform: Transform) -> Real:
    """HTDemucs' inverse: ``[2, n_fft / 2, frames]`` to ``[2, length]``."""
    padded = np.pad(spectrogram, ((0, 0), (0, 1), (2, 2)))
    edge = transform.edge_samples
    total = transform.frames(length) * transform.hop_length + 2 * edge
    return torch_istft(padded, total, transform)[:, edge : edge + length]


def add_stft_goldens(writer: GoldenWriter) -> None:
    """Add every golden of this module."""
    every_bin, some_bins = 1, 5
    music = signals.music(6000, start=44_100)
    for name, waveform, transform, bin_step in (
        ("music", music, DEMUCS, every_bin),
        ("quiet_music", signals.quiet(music), DEMUCS, some_bins),
        ("noise", signals.noise(9001), DEMUCS, some_bins),
        ("noise_4096", signals.noise(4096), DEMUCS, some_bins),
        ("sines", signals.sines(8192), DEMUCS, some_bins),
        ("impulse", signals.impulse(5000), DEMUCS, some_bins),
        ("silence", signals.silence(5000), DEMUCS, some_bins),
        ("music_1024", signals.music(5000, start=88_200), SHORT, every_bin),
    ):
        folder = f"stft/{name}"
        _add_parameters(writer, folder, transform)
        _add_waveform(writer, f"{folder}/input", waveform)
        source = (f"{folder}/input", f"{folder}/parameters")
        _add_spectrogram(writer, folder, demucs_stft(waveform, transform), bin_step, source)

    _add_noise_spectrogram(writer, "istft/noise_spectrogram", samples=4500)
    for name, folder, samples in (
        ("music", "stft/music", 6000),
        ("music_1024", "stft/music_1024", 5000),
        ("noise_spectrogram", "istft/noise_spectrogram", 4500),
    ):
        transform = SHORT if folder == "stft/music_1024" else DEMUCS
        spectrogram = _stored_spectrogram(writer, folder)
        inverse = demucs_istft(spectrogram, samples, transform)
        _add_inverse(writer, f"istft/{name}/waveform", inverse, folder)

    _add_parameters(writer, "torch_stft/music", DEMUCS)
    source = ("stft/music/input", "torch_stft/music/parameters")
    _add_spectrogram(writer, "torch_stft/music", torch_stft(music, DEMUCS), every_bin, source)
    inverse = torch_istft(_stored_spectrogram(writer, "torch_stft/music"), music.shape[-1], DEMUCS)
    _add_inverse(writer, "torch_istft/music/waveform", inverse, "torch_stft/music")


def _add_parameters(writer: GoldenWriter, folder: str, transform: Transform) -> None:
    writer.add(
        f"{folder}/parameters",
        np.array([transform.n_fft, transform.hop_length], np.int64),
        axes=("parameter",),
        scale="n_fft and hop_length, in samples",
        generator=GENERATOR,
    )


def _add_waveform(writer: GoldenWriter, name: str, waveform: Real) -> None:
    stored = waveform.astype(np.float32)
    writer.add(name, stored, axes=_WAVEFORM_AXES, scale=_WAVEFORM_SCALE, generator=GENERATOR)


def _add_noise_spectrogram(writer: GoldenWriter, folder: str, samples: int) -> None:
    """Noise in every bin, which is the STFT of no waveform; even its bin of 0 Hz has an imaginary part."""
    _add_parameters(writer, folder, DEMUCS)
    shape = (2, 2, DEMUCS.bins, DEMUCS.frames(samples))
    parts = signals.hashed_noise(int(np.prod(shape)), seed=2).reshape(shape)
    for name, part in zip(("real", "imag"), parts, strict=True):
        writer.add(
            f"{folder}/spectrogram_{name}",
            part.astype(np.float32),
            axes=_SPECTROGRAM_AXES,
            scale=_SPECTROGRAM_SCALE,
            generator=GENERATOR,
        )


def _add_spectrogram(
    writer: GoldenWriter, folder: str, spectrogram: Complex, bin_step: int, inputs: tuple[str, ...]
) -> None:
    bins = spectrogram.shape[1]
    kept = AxisSlice("bin", 0, bins, bin_step) if bin_step > 1 else None
    sliced = spectrogram[:, ::bin_step]
    # One grid for both parts: one of them may be nothing but rounding errors of the other.
    peak = float(max(np.abs(sliced.real).max(), np.abs(sliced.imag).max()))
    for name, part in (("real", sliced.real), ("imag", sliced.imag)):
        stored, grid = _rounded(part, peak)
        writer.add(
            f"{folder}/spectrogram_{name}",
            stored,
            axes=_SPECTROGRAM_AXES,
            scale=_SPECTROGRAM_SCALE,
            generator=GENERATOR,
            grid=grid,
            kept=kept,
            inputs=inputs,
        )


def _stored_spectrogram(writer: GoldenWriter, folder: str) -> Complex:
    """The spectrogram as the files hold it, so that whoever reads them inverts the same numbers."""
    real, imag = (writer.added(f"{folder}/spectrogram_{part}").astype(np.float64) for part in ("real", "imag"))
    result: Complex = real + 1j * imag
    return result


def _add_inverse(writer: GoldenWriter, name: str, waveform: Real, folder: str) -> None:
    stored, grid = _rounded(waveform, float(np.abs(waveform).max()))
    writer.add(
        name,
        stored,
        axes=_WAVEFORM_AXES,
        scale=_WAVEFORM_SCALE,
        generator=GENERATOR,
        grid=grid,
        inputs=(f"{folder}/spectrogram_real", f"{folder}/spectrogram_imag", f"{folder}/parameters"),
    )


def _rounded(values: Real, peak: float) -> tuple[NDArray[np.float32], str | None]:
    """Values on the grid as float32, and the grid's step; silence needs none."""
    if peak == 0:
        return values.astype(np.float32), None
    exponent = step_exponent(peak, BITS_BELOW_PEAK)
    return on_grid(values, exponent, RELATIVE_SPREAD * peak).astype(np.float32), f"2^{exponent}"
