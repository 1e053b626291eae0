"""The record of how a folder of stems was made, by which a later run tells whether it would make the same again.

It is a JSON file in the folder (`RECORD_FILE`), of these entries:

``version``
    1.
``program``
    Version of this package.
``input``
    ``bytes`` and ``sha256`` of the input file.
``core``, ``plan``, ``options``
    What separated it, digests included; the chunk plan; the options that concern files.
``stems``
    sha256 of each file by its name.

It comes from outside: its size is bounded, what it says is only compared, and one that is damaged says nothing.
"""

import dataclasses
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from htdemucs_coreml import __version__
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.file_version import FileVersion
from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE

RECORD_VERSION = 1
MAX_RECORD_BYTES = 1 << 16


@dataclass(frozen=True)
class InputState:
    """An input file at one moment.

    Attributes
    ----------
    path : Path
        The file.
    version : FileVersion
        Its size, and by what a change is seen.
    sha256 : str
        Digest of its content.
    """

    path: Path
    version: FileVersion
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "InputState":
        """Read a file.

        Raises
        ------
        AudioError
            If it cannot be read.
        """
        try:
            state = cls(path, FileVersion.of_status(path.stat()), sha256_file(path))
        except OSError as error:
            raise AudioError(f"{path}: the file cannot be read: {error.strerror}") from error
        state.require_unchanged()
        return state

    def require_unchanged(self) -> None:
        """Check that the file has not been written to or replaced since.

        Raises
        ------
        AudioError
            If it has, or is gone.
        """
        now = FileVersion.at(self.path)
        if now is None:
            raise AudioError(f"{self.path}: the file cannot be read any more; separate it again where it is now")
        if now != self.version:
            raise AudioError(f"{self.path}: the file changed while it was read; separate it again when it is complete")


def making(state: InputState, core: str, plan: object, options: object) -> dict[str, Any]:
    """Everything that stems depend on, as a record holds it.

    Parameters
    ----------
    state : InputState
        The input.
    core : str
        What separates; see `htdemucs_coreml.backends.base.CoreBackend.identity`.
    plan, options : dataclass
        The chunk plan, and options with their defaults filled in.
    """
    table = {
        "version": RECORD_VERSION,
        "program": __version__,
        "input": {"bytes": state.version.size_bytes, "sha256": state.sha256},
        "core": core,
        "plan": _fields(plan),
        "options": _fields(options),
    }
    # As it is after it was written and read.
    plain: dict[str, Any] = json.loads(json.dumps(table))
    return plain


def write_record(folder: Path, made: Mapping[str, Any]) -> None:
    """Write the record of a folder of stems, beside them.

    Raises
    ------
    OSError
        If a stem cannot be read or the record not be written.
    """
    stems = {file.name: sha256_file(file) for file in sorted(folder.iterdir())}
    text = json.dumps({**made, "stems": stems}, indent=2, sort_keys=True) + "\n"
    (folder / RECORD_FILE).write_text(text, encoding="utf-8")


def recorded_stems(folder: Path) -> tuple[str, ...]:
    """Names of the files that a folder's record calls stems; none without a sound record."""
    record = _read(folder)
    return () if record is None else tuple(record["stems"])


def was_made(folder: Path, made: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Tell whether a folder's record says that it was made in the same way, and its stems are still those.

    Parameters
    ----------
    folder : Path
        The folder of stems; it need not be there.
    made : mapping
        See `making`.
    names : iterable of str
        The stems' files.
    """
    record = _read(folder)
    if record is None:
        return False
    stems = record.pop("stems")
    if record != made or stems.keys() != set(names):
        return False
    try:
        return all(_is_file(folder / name) and sha256_file(folder / name) == stems[name] for name in stems)
    except OSError:
        # A stem that cannot be read is as good as none: it is made anew, which says what is wrong with the folder.
        return False


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        descriptor = os.open(folder / RECORD_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = stream.read(MAX_RECORD_BYTES + 1)
        record: Any = json.loads(content) if len(content) <= MAX_RECORD_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    match record:
        case {"stems": dict(stems)} if all(isinstance(digest, str) for digest in stems.values()):
            return dict(record)
        case _:
            return None


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.stat(follow_symlinks=False).st_mode)


def _fields(value: Any) -> dict[str, Any]:
    """Fields of a dataclass, and its type's name."""
    return {"type": type(value).__name__, **dataclasses.asdict(value)}
