"""Downloads that are verified: a file gets its name when its size and sha256 are right, and not before.

What has arrived lies in a file beside the target, ``.NAME.DIGEST.partial``, and stays there when the connection or the
process ends, so that the next attempt asks the server for the rest (RFC 9110, section 14). That file is locked while it
is written to: of several processes that want the same target, one downloads and the others wait for it.
"""

import fcntl
import http
import http.client
import io
import ipaddress
import os
import re
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import sha256_file, sync_file

TIMEOUT_SECONDS = 60.0
"""How long a server may be silent."""
RETRY_SECONDS = (1.0, 2.0, 4.0)
"""Pauses before further attempts in a row that bring nothing."""

_BLOCK_BYTES = 1 << 18
_PARTIAL_DIGEST_LETTERS = 16
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", re.ASCII)
_OVERLOADED = frozenset({408, 429, 500, 502, 503, 504})


class DownloadError(HTDemucsCoreMLError):
    """A file cannot be had from where it is offered, or is not the one that was expected."""


class DownloadProgress(Protocol):
    """Called with the bytes that are there and, where it is known, how many there will be."""

    def __call__(self, bytes_done: int, bytes_total: int | None, /) -> None:
        """Tell how far a download has come."""
        ...


@dataclass(frozen=True)
class Download:
    """What is to be downloaded, and how to tell that it is right.

    Attributes
    ----------
    url : str
        Where it is offered: by https, or on this machine.
    sha256 : str
        Its hexadecimal sha256.
    bytes : int or None
        Its exact size, where it is known.
    max_bytes : int
        The most that is read of a file whose size is not known.
    """

    url: str
    sha256: str
    bytes: int | None
    max_bytes: int

    def is_right(self, path: Path) -> bool:
        """Whether a plain file with the right size and sha256 is there."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return (
            stat.S_ISREG(status.st_mode)
            and self.bytes in (None, status.st_size)
            and status.st_size <= self.limit
            and sha256_file(path) == self.sha256
        )

    @property
    def limit(self) -> int:
        """The most bytes that are kept."""
        return self.max_bytes if self.bytes is None else self.bytes


class _InterruptionError(Exception):
    """An attempt ended early; another one may bring the rest."""


def download(
    wanted: Download, target: Path, progress: DownloadProgress, waiting: Callable[[], None] = lambda: None
) -> bool:
    """Have a file at `target`, downloading it if it is not there.

    Parameters
    ----------
    wanted : Download
        The file.
    target : Path
        Where it is to lie; a file there that is another one is replaced.
    progress : DownloadProgress
        Told of every block.
    waiting : callable
        Called before waiting for another process that downloads the same file.

    Returns
    -------
    bool
        Whether anything was downloaded: False where the file was there and right.

    Raises
    ------
    DownloadError
        If the file cannot be had, or is not the expected one.
    OSError
        If it cannot be written.
    """
    if wanted.is_right(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{wanted.sha256[:_PARTIAL_DIGEST_LETTERS]}.partial")
    with _locked(partial, waiting) as stream:
        if wanted.is_right(target):
            partial.unlink()
            return False
        _complete(wanted, stream, partial, progress)
        sync_file(partial)
        partial.replace(target)
    sync_file(target.parent)
    return True


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[io.FileIO]:
    """Open a file for this process alone, made if it is not there; if nothing was written to it, it goes away again."""
    while True:
        # Not buffered: whatever has arrived is in the file, however the process ends.
        stream = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666), "r+")
        try:
            _lock(stream, waiting)
            # Whoever had it before may have given it its final name.
            if _is_at(path, stream):
                break
        except BaseException:
            stream.close()
            raise
        stream.close()
    with stream:
        try:
            yield stream
        finally:
            if os.fstat(stream.fileno()).st_size == 0 and _is_at(path, stream):
                path.unlink()


def _lock(stream: io.FileIO, waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(stream, fcntl.LOCK_EX)


def _is_at(path: Path, stream: io.FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _complete(wanted: Download, stream: io.FileIO, partial: Path, progress: DownloadProgress) -> None:
    """Bring the partial file to the expected content."""
    resumed = _size(stream) > 0
    _receive(wanted, stream, progress)
    if not _has_digest(wanted, partial) and resumed:
        # What was there did not fit what came after: the server's file has changed, or the disk has.
        stream.truncate(0)
        _receive(wanted, stream, progress)
    if not _has_digest(wanted, partial):
        actual = sha256_file(partial)
        stream.truncate(0)
        raise DownloadError(
            f"what {wanted.url} gives has sha256 {actual}, not {wanted.sha256}, and was thrown away; try again later, "
            "or get the file elsewhere"
        )


def _has_digest(wanted: Download, partial: Path) -> bool:
    return sha256_file(partial) == wanted.sha256


def _size(stream: io.FileIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _receive(wanted: Download, stream: io.FileIO, progress: DownloadProgress) -> None:
    """Receive what is missing, in as many attempts as it takes while each brings something."""
    if _size(stream) > wanted.limit:
        stream.truncate(0)
    pauses = iter(RETRY_SECONDS)
    while _size(stream) != wanted.bytes:
        before = _size(stream)
        try:
            _attempt(wanted, stream, progress)
            return
        except _InterruptionError as interruption:
            if _size(stream) > before:
                pauses = iter(RETRY_SECONDS)
            pause = next(pauses, None)
            if pause is None:
                total = "an unknown number of" if wanted.bytes is None else wanted.bytes
                raise DownloadError(
                    f"{wanted.url} failed at {_size(stream)} of {total} bytes ({interruption}); "
                    "run the command again, it goes on from there"
                ) from interruption
            time.sleep(pause)


def _attempt(wanted: Download, stream: io.FileIO, progress: DownloadProgress) -> None:
    """Ask for what is missing and write it; raise `_InterruptionError` where asking again may help."""
    start = _size(stream)
    try:
        response = _opened(wanted.url, start)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if wanted.bytes is None:
                # There is no more than what is here; the digest says whether that is right.
                return
            stream.truncate(0)
            raise _InterruptionError("it has no more bytes than are here") from error
        if error.code in _OVERLOADED:
            raise _InterruptionError(f"it answered {error.code} {error.reason}") from error
        raise DownloadError(
            f"{wanted.url} answered {error.code} {error.reason}; try again later, or get the file elsewhere"
        ) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
            raise _interruption(error.reason) from error
        raise DownloadError(
            f"{wanted.url} cannot be reached ({error.reason}); check the network, or get the file elsewhere"
        ) from error
    except (ValueError, http.client.InvalidURL) as error:
        # Of addresses that a redirection gives: brackets, ports, names of machines that cannot be encoded.
        raise DownloadError(
            f"{wanted.url} leads to an address that is none ({error}); get the file elsewhere"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _interruption(error) from error
    with response:
        start = _agreed_start(wanted, response, stream)
        stream.truncate(start)
        stream.seek(start)
        _write_body(wanted, response, stream, progress)


def _opened(url: str, start: int) -> http.client.HTTPResponse:
    """Ask for a file from byte `start` on."""
    _require_safe(url)
    headers = {"Accept-Encoding": "identity", "User-Agent": "htdemucs-coreml"}
    if start:
        headers["Range"] = f"bytes={start}-"
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _SafeRedirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - its scheme was checked
    response = opener.open(request, timeout=TIMEOUT_SECONDS)
    if not isinstance(response, http.client.HTTPResponse):
        raise DownloadError(f"{url} was not answered by HTTP; check the network, or get the file elsewhere")
    return response


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another place, but never to one that is less safe."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(req.full_url).scheme == "https" != urllib.parse.urlsplit(newurl).scheme:
            raise DownloadError(f"{req.full_url} leads to {newurl}, which is not https; get the file elsewhere")
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_safe(url: str) -> None:
    """Refuse what others can read along or change, and what is no file of a server."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise DownloadError(f"{url} is not https, so that nothing is downloaded from it; get the file elsewhere")


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _agreed_start(wanted: Download, response: http.client.HTTPResponse, stream: io.FileIO) -> int:
    """The byte at which an answer begins: the one that was asked for, or 0 where the server sends the whole file."""
    start = _size(stream)
    if response.status == http.HTTPStatus.OK:
        _require_size(wanted, _content_length(response))
        return 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status != http.HTTPStatus.PARTIAL_CONTENT or not start or found is None:
        raise DownloadError(
            f"{wanted.url} answered {response.status} {response.reason} to what it was asked; get the file elsewhere"
        )
    _require_size(wanted, None if found[2] == "*" else int(found[2]))
    if int(found[1]) != start:
        stream.truncate(0)
        raise _InterruptionError("it sent another part than it was asked for")
    return start


def _content_length(response: http.client.HTTPResponse) -> int | None:
    """How many bytes an answer has, where the server says it."""
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length, re.ASCII) else None


def _require_size(wanted: Download, offered: int | None) -> None:
    if offered is not None and (offered > wanted.limit or wanted.bytes not in (None, offered)):
        limit = f"at most {wanted.limit}" if wanted.bytes is None else wanted.bytes
        raise DownloadError(f"{wanted.url} offers {offered} bytes, not {limit} as expected; get the file elsewhere")


def _write_body(
    wanted: Download, response: http.client.HTTPResponse, stream: io.FileIO, progress: DownloadProgress
) -> None:
    """Write what arrives as it arrives, so that no more than the last moment is lost with the connection."""
    left = _content_length(response)
    while left != 0:
        try:
            block = response.read1(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
        except (OSError, http.client.HTTPException) as error:
            raise _interruption(error) from error
        if not block:
            break
        if stream.tell() + len(block) > wanted.limit:
            stream.truncate(0)
            raise DownloadError(
                f"{wanted.url} sends more than {wanted.limit} bytes, which were thrown away; get the file elsewhere"
            )
        _write(stream, block)
        progress(stream.tell(), wanted.bytes)
        left = None if left is None else left - len(block)
    if left or (wanted.bytes is not None and stream.tell() < wanted.bytes):
        raise _InterruptionError("the connection was lost")


def _write(stream: io.FileIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[stream.write(view) :]


def _interruption(error: Exception) -> _InterruptionError:
    return _InterruptionError(str(error) or type(error).__name__)
