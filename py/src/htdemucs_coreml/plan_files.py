"""What the files of precision plans and compression plans have in common: their names, their bounds, their patterns.

A block is a module of the core, named by its path: ``frequency_encoder_0.dconv.1``. A pattern names a block and all
within it; ``*`` and ``?`` stand for characters of one path element.
"""

import fnmatch
import functools
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from htdemucs_coreml.errors import HTDemucsCoreMLError

SHORT_SUFFIX = "-7_8s"
"""Ends the names of variants with the short segment, and so no plan's."""
PLAN_SUFFIX = ".toml"
_MAXIMUM_BYTES = 1 << 20
_NAME = re.compile("[a-z0-9][a-z0-9_-]{0,63}")


def read_plan_file(path: Path, kind: str, error: type[HTDemucsCoreMLError]) -> tuple[str, str]:
    """Read the file of a plan.

    Parameters
    ----------
    path : Path
        A file named after its plan.
    kind : str
        What it has to be, for messages: ``precision plan``.
    error : type
        What is raised.

    Returns
    -------
    name, text : str
        The plan's name and the file's content.

    Raises
    ------
    HTDemucsCoreMLError
        Of the given type, if the file has another name than a plan's, cannot be read, or is unreasonably large.
    """
    name = plan_name(path, error)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{path} is no plain file; give the path of a {kind}")
        with path.open("rb") as stream:
            content = stream.read(_MAXIMUM_BYTES + 1)
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror}") from cause
    if len(content) > _MAXIMUM_BYTES:
        raise error(f"{path} has more than {_MAXIMUM_BYTES} bytes; it is no {kind}")
    try:
        return name, content.decode()
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not UTF-8 text: {cause.reason} at byte {cause.start}") from cause


def plan_name(path: Path, error: type[HTDemucsCoreMLError]) -> str:
    """The name of the plan that a file is named after.

    Raises
    ------
    HTDemucsCoreMLError
        Of the given type, if the file has another name than a plan's.
    """
    name = path.name.removesuffix(PLAN_SUFFIX)
    if not path.name.endswith(PLAN_SUFFIX) or not _NAME.fullmatch(name) or name.endswith(SHORT_SUFFIX):
        raise error(
            f"{path} has to be named after the plan: a to z, 0 to 9, - and _, without {SHORT_SUFFIX} at the end, and "
            f"{PLAN_SUFFIX}"
        )
    return name


def require_keys(table: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    """Check that a table has no other keys than those that are known.

    Raises
    ------
    ValueError
        If it has one.
    """
    for key in table:
        if key not in known:
            raise ValueError(f"{place} has the key {key!r}; known are {', '.join(sorted(known))}")


def text_of(table: Mapping[str, Any], key: str) -> str:
    """The text under a key.

    Raises
    ------
    ValueError
        If there is none.
    """
    value = table.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is {'missing' if value is None else 'not a text'}")
    return value


def texts_of(value: object, place: str) -> tuple[str, ...]:
    """A list of texts, not empty.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{place} is not a list of texts")
    return tuple(value)


def covers(pattern: str, block: tuple[str, ...]) -> bool:
    """Whether a pattern names a block, given as its path's elements, or one around it."""
    elements = pattern.split(".")
    return len(elements) <= len(block) and all(
        _expression(element).fullmatch(name) for element, name in zip(elements, block, strict=False)
    )


@functools.cache
def _expression(element: str) -> re.Pattern[str]:
    # Of Python's patterns for file names, whose stars do not search again and again, without its sets of characters.
    return re.compile(fnmatch.translate(element.replace("[", "[[]")))
