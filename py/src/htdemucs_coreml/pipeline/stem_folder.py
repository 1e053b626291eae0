"""A folder of outputs that appear together, and each whole, or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import sync_file


class OutputError(HTDemucsCoreMLError):
    """Outputs could not be written."""


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, whose files are moved into `target` if nothing fails.

    A `target` that is not there yet appears at once with all its files. In one that is, files of the same
    names are replaced one by one, each whole, and others are left alone. On failure the temporary folder is
    removed, and so are parents of `target` that were made for it.

    Raises
    ------
    OutputError
        If writing fails, here or where the folder is used.
    """
    try:
        with (
            _made_folder(target.parent),
            tempfile.TemporaryDirectory(prefix=".htdemucs-coreml.", dir=target.parent) as temporary,
        ):
            staging = Path(temporary) / "stems"
            staging.mkdir()
            yield staging
            for file in sorted(staging.iterdir()):
                sync_file(file)
            sync_file(staging)
            _publish(staging, target)
            sync_file(target.parent)
    except BrokenPipeError:
        # Not about files: whoever read this program's output went away.
        raise
    except OSError as error:
        raise OutputError(f"{target}: the stems could not be written: {error.strerror or error}") from error


@contextmanager
def _made_folder(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; on failure remove those that were made, where they are empty."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in made:
            try:
                each.rmdir()
            except OSError:
                break
        raise


def _publish(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        for file in sorted(staging.iterdir()):
            file.replace(target / file.name)
