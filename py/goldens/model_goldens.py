"""Goldens of whole models: what upstream's ``HTDemucs.forward`` makes of a short waveform, in float64."""

import golden_signals as signals
import numpy as np
import torch

from htdemucs_coreml.goldens.grid import on_grid, step_exponent
from htdemucs_coreml.goldens.manifest import AxisSlice
from htdemucs_coreml.goldens.writing import GoldenWriter
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.weights.source import load_weights

GENERATOR = "py/goldens/model_goldens.py"
SAMPLES = 11_264
SAMPLE_STEP = 101
BITS_BELOW_PEAK = 27
# Measured between instruction sets and numbers of threads: at most 5e-15 of the peak.
RELATIVE_SPREAD = 1e-13


def add_model_goldens(writer: GoldenWriter) -> None:
    """Add every golden of this module."""
    folder = f"whole_model/fixture_{SAMPLES}"
    waveform = signals.music(SAMPLES)
    writer.add(
        f"{folder}/input",
        waveform.astype(np.float32),
        axes=("channel", "sample"),
        scale="full scale 1.0",
        generator=GENERATOR,
    )
    model = find_model("fixture")
    checkpoint = load_weights(model, None)
    network = build_network(model, {name: tensor.double() for name, tensor in checkpoint.tensors.items()})
    # Upstream computes its window and its positional embeddings in the default type.
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            stems = network(torch.from_numpy(waveform)[None])[0].numpy()
    finally:
        torch.set_default_dtype(torch.float32)
    sliced = stems[..., ::SAMPLE_STEP]
    peak = float(np.abs(sliced).max())
    exponent = step_exponent(peak, BITS_BELOW_PEAK)
    writer.add(
        f"{folder}/stems",
        on_grid(sliced, exponent, RELATIVE_SPREAD * peak).astype(np.float32),
        axes=("stem", "channel", "sample"),
        scale="full scale 1.0",
        generator=GENERATOR,
        grid=f"2^{exponent}",
        kept=AxisSlice("sample", 0, SAMPLES, SAMPLE_STEP),
        inputs=(f"{folder}/input",),
        weights={model.name: checkpoint.sha256},
    )
