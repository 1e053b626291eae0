"""Writes ``goldens/core/fixture_11264.json``: what upstream's whole model makes of 11,264 samples, in float64.

Run as ``python py/goldens/core.py`` from the repository's root. The file holds every 101st sample of the six stems.
"""

import json
from pathlib import Path

import torch

from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.weights.source import load_weights

SAMPLES = 11264
STRIDE = 101
OUTPUT = Path("goldens/core/fixture_11264.json")


def main() -> None:
    """Compute and write the golden."""
    model = find_model("fixture")
    checkpoint = load_weights(model, None)
    network = build_network(model, {name: tensor.double() for name, tensor in checkpoint.tensors.items()})
    stems = network(torch.from_numpy(synthetic_song(SAMPLES)).double()[None])
    table = {
        "generator": "py/goldens/core.py",
        "input": f"htdemucs_coreml.signals.synthetic_song({SAMPLES})",
        "weights_sha256": checkpoint.sha256,
        "dtype": "float64",
        "axes": ["batch", "stem", "channel", "sample"],
        "shape": list(stems.shape),
        "flat_stride": STRIDE,
        "values": [float(f"{value:.12g}") for value in stems.flatten()[::STRIDE].tolist()],
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
