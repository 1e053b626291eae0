"""Where two folders of goldens differ."""

from pathlib import Path

import numpy as np

from htdemucs_coreml.goldens.errors import GoldenError
from htdemucs_coreml.goldens.manifest import DTYPES, MANIFEST_FILE, GoldenEntry
from htdemucs_coreml.goldens.reading import GoldenFolder, open_goldens


def first_difference(expected: Path, actual: Path) -> str | None:
    """Describe the first golden, in the order of names, in which two folders differ.

    Parameters
    ----------
    expected, actual : Path
        Two folders of goldens.

    Returns
    -------
    str or None
        A sentence that begins with the golden's name; None where both folders hold the same bytes.

    Raises
    ------
    GoldenError
        If a folder has no valid manifest, or `actual` is not what its own manifest says.
    """
    first, second = open_goldens(expected), open_goldens(actual)
    second.check()
    for name in sorted(first.entries.keys() | second.entries.keys()):
        difference = _difference(name, first, second)
        if difference is not None:
            return f"golden {name}: {difference}"
    try:
        first.check()
    except GoldenError as error:
        return str(error)
    if (expected / MANIFEST_FILE).read_bytes() != (actual / MANIFEST_FILE).read_bytes():
        return f"{MANIFEST_FILE}: says the same in other bytes"
    return None


def _difference(name: str, expected: GoldenFolder, actual: GoldenFolder) -> str | None:
    if name not in actual.entries:
        return f"only in {expected.path}"
    if name not in expected.entries:
        return f"only in {actual.path}"
    wanted, found = expected.entries[name], actual.entries[name]
    file = expected.path / wanted.file
    # The bytes that lie there, which may not be those that the manifest vouches for.
    content = file.read_bytes() if file.is_file() else b""
    if len(content) != wanted.bytes:
        return f"{file} has {len(content)} bytes, not {wanted.bytes}"
    if (wanted.shape, wanted.dtype) == (found.shape, found.dtype):
        difference = _first_element(wanted, content, (actual.path / found.file).read_bytes())
        if difference is not None:
            return f"{file} differs {difference}"
    if wanted != found:
        fields = [key for key in vars(wanted) if getattr(wanted, key) != getattr(found, key)]
        return f"{MANIFEST_FILE} describes it otherwise: {', '.join(fields)}"
    return None


def _first_element(entry: GoldenEntry, expected: bytes, actual: bytes) -> str | None:
    if expected == actual:
        return None
    size = DTYPES[entry.dtype].itemsize
    # Bytes rather than values: NaN equals nothing, and zeros of both signs are equal.
    rows = [np.frombuffer(content, np.uint8).reshape(-1, size) for content in (expected, actual)]
    differing = np.flatnonzero((rows[0] != rows[1]).any(axis=1))
    index = int(differing[0])
    position = [int(place) for place in np.unravel_index(index, entry.shape)]
    wanted, found = (np.frombuffer(content, DTYPES[entry.dtype])[index] for content in (expected, actual))
    return f"in {len(differing)} values, first at {position}: {wanted!r} there, {found!r} computed"
