"""Second moments of what every weight of a core is multiplied with, on signals of the project's own.

A core runs in float64, and what enters a weighted layer is rounded to whole steps of `_STEP_BITS` bits below its root
mean square. Sums of products of such values are exact, so that moments have the same bits on every machine if the
roundings agree. Between machines, values differ by some 1e-15 of their size before they are rounded: one of 1e13 lands
on another step, where a calibration rounds some 1e8. A difference that is smaller than a step does not travel: the next
layer rounds what it takes anew.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from htdemucs_coreml.compress.layout import WeightLayout
from htdemucs_coreml.core.contract import BINS, HOP_LENGTH, N_FFT, SAMPLE_RATE_HZ
from htdemucs_coreml.core.inner import InnerHTDemucs
from htdemucs_coreml.signals import synthetic_song, white_noise

CALIBRATION_SAMPLES = 86 * HOP_LENGTH
"""Length of a calibrating segment: 2 seconds."""
_FULL_SCALE = 1 << 15
_STEP_BITS = 6
_MOST_VECTORS = 1024
_TONES_HZ = (61.7, 220.0, 659.3, 1760.0, 4186.0, 9956.0)

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, *_TRANSPOSED)

Stereo = NDArray[np.float64]
Moments = NDArray[np.float64]


def input_moments(core: InnerHTDemucs) -> Mapping[tuple[str, ...], Moments]:
    """Run a core on every calibrating signal.

    Parameters
    ----------
    core : InnerHTDemucs
        With segments of `CALIBRATION_SAMPLES`, rewritten; it is changed to float64.

    Returns
    -------
    Mapping of tuple of str to array [inputs, inputs]
        Moments by the path of a block, up to a factor, with inputs as columns of `compress.layout.matrix_of`.
    """
    core.double()
    moments: dict[tuple[str, ...], Moments] = {}
    hooks = [
        module.register_forward_pre_hook(_Recorder(moments, block_path(core, name)))
        for name, module in weighted_modules(core).items()
    ]
    with torch.no_grad():
        for mix in _mixes(CALIBRATION_SAMPLES):
            core(**_inputs_of(torch.from_numpy(np.rint(mix * _FULL_SCALE) / _FULL_SCALE)))
    for hook in hooks:
        hook.remove()
    return moments


def weighted_modules(core: nn.Module) -> dict[str, nn.Module]:
    """Modules whose weights may be compressed, by their names."""
    return {name: module for name, module in core.named_modules() if isinstance(module, _WEIGHTED)}


def weight_layout(module: nn.Module) -> WeightLayout:
    """What the axes of such a module's weight stand for."""
    if isinstance(module, _TRANSPOSED):
        return WeightLayout(outputs=1, inputs=0, stride=module.stride[0])
    return WeightLayout(outputs=0, inputs=1)


def block_path(core: nn.Module, name: str) -> tuple[str, ...]:
    """Path of a module as operations are named after it: without the names of module lists."""
    elements = name.split(".")
    return tuple(
        element
        for index, element in enumerate(elements)
        if not isinstance(core.get_submodule(".".join(elements[: index + 1])), nn.ModuleList)
    )


class _Recorder:
    """Rounds what a layer takes, and adds its moments to those under the layer's name."""

    def __init__(self, moments: dict[tuple[str, ...], Moments], block: tuple[str, ...]) -> None:
        self._moments = moments
        self._block = block

    def __call__(self, module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        taken, *others = arguments
        step = 2.0 ** (int(np.frexp(float(taken.square().mean().sqrt()))[1]) - _STEP_BITS)
        steps = torch.round(taken / step)
        vectors = _vectors(module, steps)
        kept = vectors[:, :: -(-vectors.shape[1] // _MOST_VECTORS)]
        added = (kept @ kept.T).numpy() * step**2
        self._moments[self._block] = self._moments[self._block] + added if self._block in self._moments else added
        return (steps * step, *others)


def _vectors(module: nn.Module, taken: Tensor) -> Tensor:
    """What a layer's matrix is multiplied with, [inputs, vectors]."""
    if isinstance(module, nn.Linear):
        return taken.reshape(-1, taken.shape[-1]).T
    plane = taken[..., None] if taken.dim() == 3 else taken
    if isinstance(module, _TRANSPOSED):
        taps = module.kernel_size[0] // module.stride[0]
        patches = functional.unfold(plane, (taps, 1), padding=(taps - 1, 0))
    else:
        options: dict[str, Any] = {
            name: (*getattr(module, name), other)[:2]
            for name, other in (("kernel_size", 1), ("dilation", 1), ("padding", 0), ("stride", 1))
        }
        patches = functional.unfold(plane, **options)
    return patches.permute(1, 0, 2).reshape(patches.shape[1], -1)


def _mixes(samples: int) -> Iterator[Stereo]:
    """Stereo signals of the kinds that a core may meet, full scale 1.0."""
    song = synthetic_song(4 * samples).astype(np.float64)
    first, second, third, fourth = np.split(song, 4, axis=1)
    noise = np.stack(np.split(white_noise(2 * samples), 2))
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    tones = sum((np.sin(2 * np.pi * hz * seconds) for hz in _TONES_HZ), np.zeros(samples))
    yield first
    yield 0.5 * second[::-1] + 0.01 * noise
    yield third * [[1.0], [0.0]]
    yield np.clip(10 * fourth, -1, 1)
    yield 0.1 * noise + 0.1 * tones * [[1.0], [-0.6]]
    yield np.repeat([[0.5], [-0.3]], samples, axis=1)


def _inputs_of(mix: Tensor) -> dict[str, Tensor]:
    """The core's inputs; unlike those of `spectrogram`, with a window of float64 and silence around the mix."""
    window = torch.hann_window(N_FFT, dtype=torch.float64)
    edge = (N_FFT - HOP_LENGTH) // 2
    frames = functional.pad(mix, (edge, edge)).unfold(-1, N_FFT, HOP_LENGTH)
    transformed = torch.fft.rfft(frames * window, norm="ortho")[..., :BINS].transpose(-1, -2)[None]
    return {"spectrogram_real": transformed.real, "spectrogram_imag": transformed.imag, "waveform": mix[None]}
