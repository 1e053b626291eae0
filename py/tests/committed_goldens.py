"""Where the committed goldens lie, and how tests read them."""

from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.goldens.reading import GoldenFolder, open_goldens

Value = TypeVar("Value", bound=np.generic)

REPOSITORY = Path(__file__).parents[2]
SMALL_GOLDENS = REPOSITORY / "goldens" / "small"


def members(kind: str) -> list[str]:
    """Folders of goldens of one kind, such as ``stft/music`` of kind ``stft``."""
    names = open_goldens(SMALL_GOLDENS).entries
    return sorted({name.rpartition("/")[0] for name in names if name.startswith(f"{kind}/")})


def kept(goldens: GoldenFolder, name: str, whole: NDArray[Value]) -> NDArray[Value]:
    """The part of a whole array that a golden keeps."""
    entry = goldens.entry(name)
    if entry.kept is None:
        return whole
    axis = entry.axes.index(entry.kept.axis)
    assert whole.shape[axis] >= entry.kept.stop
    return whole.take(list(entry.kept.positions), axis=axis)
