"""What is converted again and again. Run as ``python -m repro.subject FOLDER small|full BREAK VARIANT…``.

*small*: the small model of the tests with its short segment; *full*: the fixture model. Weights are generated in the
same process, so that they are under test, too.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import find_variant
from htdemucs_coreml.core import embeddings
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, find_model
from htdemucs_coreml.weights.source import load_weights
from repro.errors import ReproductionError
from small_model import SHORT_SEGMENT_SAMPLES, SMALL_ENTRY


def _embeddings() -> None:
    """Compute the phases of the positional embeddings in float32, and with them their sines and cosines."""
    in_float64 = embeddings._phases

    def in_float32(positions: range, rates: list[float]) -> NDArray[np.float32]:
        return in_float64(positions, rates).astype(np.float32)

    vars(embeddings)["_phases"] = in_float32


BREAKS: Mapping[str, Callable[[], None]] = {"embeddings": _embeddings}
"""What can be taken out of the conversion, to see that it is missed."""


def main(folder: Path, kind: str, taken_out: str, names: list[str]) -> None:
    """Convert the subject in each variant.

    Raises
    ------
    ReproductionError
        If there is no such kind.
    """
    if taken_out != "nothing":
        BREAKS[taken_out]()
    match kind:
        case "small":
            checkpoint = load_weights(SMALL_ENTRY, None)
            variants = [replace(find_variant(name), segment_samples=SHORT_SEGMENT_SAMPLES) for name in names]
        case "full":
            checkpoint = load_weights(find_model(EMBEDDED_MODEL), None)
            variants = [find_variant(name) for name in names]
        case _:
            raise ReproductionError(f"there is no subject {kind!r}; choose small or full")
    for variant in variants:
        convert_checkpoint(checkpoint, variant, folder / f"{variant.name}.mlpackage")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
