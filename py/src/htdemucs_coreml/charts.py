"""Charts as files: drawn without a display, the same bytes every time, and nothing left behind but the chart."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
"""Endings of files that a chart can be written to, in lower case."""

# The font comes with matplotlib, and letters are drawn as paths: a chart looks the same without fonts on the system.
_STYLE: dict[str, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    # Text is others': a dollar sign is one.
    "text.parse_math": False,
    "svg.fonttype": "path",
    # Identifiers within a file come from a random number otherwise.
    "svg.hashsalt": "htdemucs-coreml",
}
# Names the folder of matplotlib's settings and caches; without it, it makes one at home.
_CONFIGURATION = "MPLCONFIGDIR"
_METADATA = {".svg": {"Date": None}, ".png": {"Software": None}}


class ChartError(HTDemucsCoreMLError):
    """A chart cannot be drawn or written."""


@contextmanager
def chart_file(path: Path, size: tuple[float, float]) -> Iterator["Figure"]:
    """Yield an empty figure; when the block ends, it is written whole.

    Parameters
    ----------
    path : Path
        The file, replaced if it is there; its ending, of `SUFFIXES`, says the format.
    size : tuple of float
        Width and height in inches; of pixels, a hundred are an inch.

    Raises
    ------
    ChartError
        If the file has another ending or cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ChartError(f"{path} does not end in {' or '.join(SUFFIXES)}, the formats of charts; name it so")
    matplotlib = _matplotlib()
    with matplotlib.rc_context():
        # A file of settings in the folder or at home would show.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure: Figure = matplotlib.figure.Figure(size, dpi=100, layout="constrained")
        yield figure
        try:
            with atomic_file(path) as partial:
                figure.savefig(partial, format=suffix[1:], metadata=_METADATA[suffix])
        except OSError as error:
            raise ChartError(f"{path} cannot be written: {error.strerror or error}") from error


def colour_map(name: str) -> NDArray[np.uint8]:
    """Colours [256, 3], red, green and blue, of one of matplotlib's colour maps, from lowest to highest."""
    colours: NDArray[np.uint8] = _matplotlib().colormaps[name](np.arange(256), bytes=True)[:, :3]
    return colours


def _matplotlib() -> Any:
    """Import matplotlib, which takes half a second; what it writes down of the system's fonts is gone afterwards."""
    before = os.environ.get(_CONFIGURATION)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_CONFIGURATION] = folder
        try:
            import matplotlib
            import matplotlib.figure
        finally:
            if before is None:
                del os.environ[_CONFIGURATION]
            else:
                os.environ[_CONFIGURATION] = before
    return matplotlib
