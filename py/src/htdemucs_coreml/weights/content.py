"""A weights file's bytes, and what goes wrong with them."""

import stat
from pathlib import Path

from htdemucs_coreml.errors import HTDemucsCoreMLError

MAX_FILE_BYTES = 1 << 30
MAX_RANK = 8


class WeightsError(HTDemucsCoreMLError):
    """A weights file is missing, damaged, hostile, or not the one that was asked for."""


class MissingWeightsError(WeightsError):
    """A model with published weights was asked for, and they are not at hand."""


class FormError(ValueError):
    """A phrase that says how bytes depart from their form; who knows the file's path makes a `WeightsError` of it."""


def read_weights_file(path: Path) -> bytes:
    """Read a weights file whole and once, so that what is checked is what is used.

    Raises
    ------
    WeightsError
        If it cannot be read, is no plain file (a device may never end), or is larger than `MAX_FILE_BYTES`.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise WeightsError(f"{path} is no plain file; give the path of a weights file")
        if status.st_size > MAX_FILE_BYTES:
            raise WeightsError(f"{path} has {status.st_size} bytes; weights of more than {MAX_FILE_BYTES} are refused")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}; give the path of a weights file") from error
