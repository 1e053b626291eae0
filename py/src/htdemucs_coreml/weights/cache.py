"""Where fetched weights lie between uses."""

import os
import sys
from pathlib import Path

from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.content import WeightsError

_FOLDER = "htdemucs-coreml"


def cache_folder() -> Path:
    """The user's folder for weights, which need not exist.

    ``~/Library/Caches/htdemucs-coreml`` on macOS, else ``$XDG_CACHE_HOME/htdemucs-coreml`` or
    ``~/.cache/htdemucs-coreml`` (https://specifications.freedesktop.org/basedir-spec/latest/, which has relative values
    of the variable ignored).

    Raises
    ------
    WeightsError
        If the user has no home folder.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if sys.platform != "darwin" and Path(given).is_absolute():
        return Path(given) / _FOLDER
    try:
        home = Path.home()
    except RuntimeError as error:
        raise WeightsError("there is no home folder to keep weights in; set HOME, or give a folder or file") from error
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / _FOLDER


def fetched_weights(entry: ModelEntry) -> Path | None:
    """The first of a model's published files that is in the cache, unchecked, or None."""
    folder = cache_folder()
    return next((folder / each.file for each in entry.weights if (folder / each.file).is_file()), None)
