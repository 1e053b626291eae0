"""What ``fetch`` tells of its work: as text for people, or as lines of JSON for programs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import click

from htdemucs_coreml.cli.application import message_of, report_error
from htdemucs_coreml.cli.json_events import print_event
from htdemucs_coreml.cli.progress_bar import bytes_bar, shows_bars
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.downloads import DownloadProgress
from htdemucs_coreml.models.registry import PublishedFile

_BYTES_PER_EVENT = 1_000_000


class FetchReport(Protocol):
    """Where ``fetch`` reports to."""

    def note(self, message: str) -> None:
        """Tell something worth knowing that is no error."""
        ...

    def progress_of(self, published: PublishedFile) -> AbstractContextManager[DownloadProgress]:
        """Yield what is told of a file's bytes."""
        ...

    def done(self, published: PublishedFile, path: Path, *, downloaded: bool, sha256: str) -> None:
        """Tell of a file that is there."""
        ...

    def failed(self, published: PublishedFile, error: Exception) -> None:
        """Tell why a file is not there."""
        ...

    def summary(self, *, done: int, failed: int) -> None:
        """Tell how many files are there and how many failed."""
        ...


class TextFetchReport:
    """Paths on standard output; notes, errors and, on a terminal, a progress bar on standard error.

    Parameters
    ----------
    quiet : bool
        Paths and errors only.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, message: str) -> None:
        """Print ``note: …`` to standard error."""
        if not self._quiet:
            click.echo(f"note: {message}", err=True)

    @contextmanager
    def progress_of(self, published: PublishedFile) -> Iterator[DownloadProgress]:
        """Yield a progress bar's update."""
        with bytes_bar(published.file, shown=not self._quiet and shows_bars()) as progress:
            yield progress

    def done(self, published: PublishedFile, path: Path, *, downloaded: bool, sha256: str) -> None:
        """Print the path, after a note on what was done."""
        self.note(f"{published.file} {'was downloaded' if downloaded else 'was already there'}: sha256 {sha256}")
        click.echo(printable(str(path)))

    def failed(self, published: PublishedFile, error: Exception) -> None:
        """Print ``error: …`` to standard error."""
        _report_failed(published, error)

    def summary(self, *, done: int, failed: int) -> None:
        """Print a line where some of several files failed."""
        if failed and done + failed > 1:
            click.echo(f"{done} of {done + failed} files are there, {failed} failed", err=True)


class JSONFetchReport:
    """One JSON object a line on standard output; errors also on standard error.

    docs/fetch.md lists the events and what each holds.

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
    def progress_of(self, published: PublishedFile) -> Iterator[DownloadProgress]:
        """Yield what prints ``progress``, every megabyte and at the end."""
        told = 0

        def progress(bytes_done: int, bytes_total: int | None, /) -> None:
            nonlocal told
            if not self._quiet and (bytes_done == bytes_total or not told <= bytes_done < told + _BYTES_PER_EVENT):
                told = bytes_done
                print_event("progress", file=published.file, bytes_done=bytes_done, bytes_total=bytes_total)

        yield progress

    def done(self, published: PublishedFile, path: Path, *, downloaded: bool, sha256: str) -> None:
        """Print ``done``."""
        print_event("done", file=published.file, path=str(path), sha256=sha256, downloaded=downloaded)

    def failed(self, published: PublishedFile, error: Exception) -> None:
        """Print ``error``, also as text to standard error."""
        print_event("error", file=published.file, message=message_of(error))
        _report_failed(published, error)

    def summary(self, *, done: int, failed: int) -> None:
        """Print ``summary``."""
        print_event("summary", done=done, failed=failed)


def _report_failed(published: PublishedFile, error: Exception) -> None:
    message = message_of(error)
    report_error(message if published.file in message else f"{published.file}: {message}")
