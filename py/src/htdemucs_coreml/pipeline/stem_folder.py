"""A folder of outputs that appear together, and each whole, or not at all.

Files are written into a hidden folder beside the target, which its writer holds a lock on, and moved under a lock of
the folder that both lie in: whatever several writers do at once, the files of one of them are there in the end. What a
writer that was killed has left is removed by the next one into the same place.
"""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from htdemucs_coreml.deferred_signals import DeferredSignals, deferred_signals
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import sync_file
from htdemucs_coreml.pipeline.folder_lock import LOCK_FILE, folder_locked, held_file, is_held

RECORD_FILE = ".htdemucs-coreml.json"
"""What says how the files of a folder were made: the first to go and the last to come where files are replaced."""

_PREFIX, _SUFFIX = ".htdemucs-coreml.", ".partial"
_STAGING = re.compile(re.escape(_PREFIX) + "[a-z0-9_]{8}" + re.escape(_SUFFIX))
_HELD, _FILES = "lock", "stems"
_MOST_ATTEMPTS = 100


class OutputError(HTDemucsCoreMLError):
    """Outputs could not be written."""


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, whose files are moved into `target` if nothing fails.

    A `target` that is not there yet appears at once with all its files. In one that is, or that a link leads to, files
    of the same names are replaced one by one, each whole, and others are left alone; a record (`RECORD_FILE`) is
    removed first and comes last. Signals wait while files are moved. On failure the temporary folder is removed, and
    so are parents of `target` that were made for it.

    Raises
    ------
    OutputError
        If writing fails, here or where the folder is used.
    """
    require_usable(target, ())
    try:
        with deferred_signals() as signals, _parent_of(target, signals) as (place, staging):
            with signals.allowed():
                yield staging
                for file in sorted(staging.iterdir()):
                    sync_file(file)
                sync_file(staging)
            with folder_locked(place.parent, signals):
                _publish(staging, place)
            sync_file(place.parent)
    except BrokenPipeError:
        # Not about files: whoever read this program's output went away.
        raise
    except OSError as error:
        raise _unwritable(target, error) from error


def require_usable(target: Path, names: Iterable[str]) -> None:
    """Check that a folder may take files of some names, or may come to be, before anything is spent on them.

    Raises
    ------
    OutputError
        If something other than a folder is at `target`, a link leads nowhere, the folder may not be changed, or a
        folder has one of the files' names.
    """
    try:
        if not target.is_symlink() and not target.exists():
            return
        if target.is_symlink() and not target.exists():
            raise FileNotFoundError(errno.ENOENT, "it is a link that leads nowhere")
        if not stat.S_ISDIR(target.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(target, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        for name in names:
            if (target / name).is_dir() and not (target / name).is_symlink():
                raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
    except OSError as error:
        raise _unwritable(target, error) from error


def remove_leftovers(folder: Path) -> None:
    """Remove what writers into a folder that were killed have left there; see `staged_folder`.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    if _left_in(folder) or (folder / LOCK_FILE).exists():
        with deferred_signals() as signals, folder_locked(folder, signals):
            _remove_leftovers(folder)


def _unwritable(target: Path, error: OSError) -> OutputError:
    return OutputError(f"{target}: the stems could not be written: {error.strerror or error}")


@contextmanager
def _parent_of(target: Path, signals: DeferredSignals) -> Iterator[tuple[Path, Path]]:
    """Make the folder that `target` lies in, and a staging folder there; yield where links lead, and the latter."""
    place = target.resolve() if target.is_symlink() else target
    made = [each for each in (place.parent, *place.parent.parents) if not each.exists()]
    for each in made:
        if each.is_symlink():
            raise FileNotFoundError(errno.ENOENT, f"{each} is a link that leads nowhere")
    with ExitStack() as held:
        try:
            temporary = _staging_beside(place, signals, held)
            try:
                yield place, temporary / _FILES
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except BaseException:
            _remove_empty(made)
            raise


def _staging_beside(place: Path, signals: DeferredSignals, held: ExitStack) -> Path:
    """Make a staging folder and hold its lock until `held` ends."""
    for _ in range(_MOST_ATTEMPTS):
        place.parent.mkdir(parents=True, exist_ok=True)
        # Somebody who failed may just have removed the folder that they had made.
        with suppress(FileNotFoundError), folder_locked(place.parent, signals):
            _remove_leftovers(place.parent)
            temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=place.parent))
            try:
                held.callback(os.close, held_file(temporary / _HELD))
                (temporary / _FILES).mkdir()
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            return temporary
    raise FileNotFoundError(errno.ENOENT, f"{place.parent} goes away as often as it is made")


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            break


def _publish(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    else:
        return
    (target / RECORD_FILE).unlink(missing_ok=True)
    for file in sorted(staging.iterdir(), key=lambda file: (file.name == RECORD_FILE, file.name)):
        file.replace(target / file.name)
    sync_file(target)


def _remove_leftovers(folder: Path) -> None:
    """Remove staging folders that no living process holds, from a folder that is locked, as where they are made."""
    for left in _left_in(folder):
        # What belongs to another user, or was not yet held when its maker was killed, has no lock to ask.
        with suppress(PermissionError):
            try:
                is_live = is_held(left / _HELD)
            except FileNotFoundError:
                is_live = False
            if not is_live:
                # Its writer may live after all, and be removing it.
                shutil.rmtree(left, ignore_errors=True)


def _left_in(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if _STAGING.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )
    return []
