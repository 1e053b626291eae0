"""What ``separate`` tells of its work: as text for people, or as lines of JSON for programs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import click

from htdemucs_coreml.cli.application import message_of, report_error
from htdemucs_coreml.cli.json_events import print_event
from htdemucs_coreml.cli.progress_bar import progress_bar, shows_bars
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.pipeline.file_separation import SeparatedFile
from htdemucs_coreml.pipeline.separation import Progress


class Report(Protocol):
    """Where ``separate`` reports to."""

    def note(self, message: str) -> None:
        """Tell something worth knowing that is no error."""
        ...

    def progress_of(self, path: Path) -> AbstractContextManager[Progress]:
        """Yield what is told of an input's segments."""
        ...

    def done(self, path: Path, separated: SeparatedFile, wall_seconds: float) -> None:
        """Tell of an input's stems."""
        ...

    def skipped(self, path: Path, folder: Path) -> None:
        """Tell of an input whose stems are there from an earlier run."""
        ...

    def failed(self, path: Path | None, error: Exception) -> None:
        """Tell why an input failed or, without one, why all of them did."""
        ...

    def summary(self, *, done: int, skipped: int, failed: int) -> None:
        """Tell how many inputs were separated, how many skipped, and how many failed."""
        ...


class TextReport:
    """Results on standard output; notes, errors and, on a terminal, a progress bar on standard error.

    Parameters
    ----------
    quiet : bool
        Errors only.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, message: str) -> None:
        """Print ``note: …`` to standard error."""
        if not self._quiet:
            click.echo(f"note: {printable(message)}", err=True)

    @contextmanager
    def progress_of(self, path: Path) -> Iterator[Progress]:
        """Yield a progress bar's update."""
        with progress_bar(path.name, shown=not self._quiet and shows_bars()) as progress:
            yield progress

    def done(self, path: Path, separated: SeparatedFile, wall_seconds: float) -> None:
        """Print one line: input, folder, names of the stems, time."""
        if not self._quiet:
            names = " ".join(file.name for file in separated.stems.values())
            click.echo(printable(f"{path} -> {separated.folder}: {names} ({wall_seconds:.1f} s)"))

    def skipped(self, path: Path, folder: Path) -> None:
        """Print one line."""
        if not self._quiet:
            click.echo(printable(f"{path} -> {folder}: already there, skipped"))

    def failed(self, path: Path | None, error: Exception) -> None:
        """Print ``error: …`` to standard error, with the input's name where the message lacks it."""
        _report_failed(path, error)

    def summary(self, *, done: int, skipped: int, failed: int) -> None:
        """Print a line where some of several inputs failed."""
        if failed and done + skipped + failed > 1:
            already = f", {skipped} skipped" if skipped else ""
            click.echo(f"{done} of {done + skipped + failed} inputs were separated{already}, {failed} failed", err=True)


class JSONReport:
    """One JSON object a line on standard output; errors also on standard error.

    docs/separate.md lists the events and what each holds.

    Parameters
    ----------
    quiet : bool
        No notes and no progress.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, message: str) -> None:
        """Print a ``note``."""
        if not self._quiet:
            print_event("note", message=message)

    @contextmanager
    def progress_of(self, path: Path) -> Iterator[Progress]:
        """Yield what prints ``progress``."""

        def progress(segments_done: int, segments_total: int, /) -> None:
            if not self._quiet:
                print_event("progress", input=str(path), segments_done=segments_done, segments_total=segments_total)

        yield progress

    def done(self, path: Path, separated: SeparatedFile, wall_seconds: float) -> None:
        """Print ``done``."""
        print_event(
            "done",
            input=str(path),
            folder=str(separated.folder),
            stems={name: str(file) for name, file in separated.stems.items()},
            sample_rate_hz=separated.sample_rate_hz,
            frames=separated.frames,
            wall_seconds=round(wall_seconds, 3),
        )

    def skipped(self, path: Path, folder: Path) -> None:
        """Print ``skipped``."""
        print_event("skipped", input=str(path), folder=str(folder))

    def failed(self, path: Path | None, error: Exception) -> None:
        """Print ``error``, also as text to standard error."""
        print_event("error", input=None if path is None else str(path), message=message_of(error))
        _report_failed(path, error)

    def summary(self, *, done: int, skipped: int, failed: int) -> None:
        """Print ``summary``."""
        print_event("summary", done=done, skipped=skipped, failed=failed)


def _report_failed(path: Path | None, error: Exception) -> None:
    message = message_of(error)
    report_error(message if path is None or str(path) in str(error) else f"{printable(str(path))}: {message}")
