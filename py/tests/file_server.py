"""A web server on this machine that offers one file and misbehaves as it is told."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Answering(BaseHTTPRequestHandler):
    """One request; the server's next answer decides what becomes of it."""

    server: "FileServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        answer = self.server.answers.pop(0) if self.server.answers else sound
        self.close_connection = True
        answer(self)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    @property
    def first_byte(self) -> int:
        """Where the part begins that is asked for."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def head(self, status: int, **headers: object) -> None:
        """Send a status and headers, underscores in their names standing for hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


Answer = Callable[[Answering], None]


class FileServer(ThreadingHTTPServer):
    """Offers `content`; each request takes the first of `answers`, and `sound` when there are none left."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.content = content
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up; anything else is a mistake in a test."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"http://127.0.0.1:{self.server_address[1]}/weights.safetensors"

    @property
    def ranges(self) -> list[str | None]:
        """What each request asked for."""
        return [headers.get("Range") for headers in self.requests]


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """Yield a server that runs in a thread of its own."""
    with FileServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def sound(request: Answering, limit: int | None = None) -> None:
    """Answer as a server should that knows ranges; with a limit, close the connection after so many bytes."""
    content, start = request.server.content, request.first_byte
    if start == 0:
        request.head(200, Content_Length=len(content))
    elif start < len(content):
        content_range = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.head(206, Content_Length=len(content) - start, Content_Range=content_range)
    else:
        request.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        return
    request.wfile.write(content[start:][:limit])


def dropping(after: int) -> Answer:
    """Lose the connection after so many bytes."""
    return lambda request: sound(request, after)


def whole(request: Answering) -> None:
    """Ignore what part was asked for."""
    request.head(200, Content_Length=len(request.server.content))
    request.wfile.write(request.server.content)


def unmeasured(request: Answering) -> None:
    """Do not say how long the file is."""
    request.head(200)
    request.wfile.write(request.server.content)


def failing(status: int, **headers: object) -> Answer:
    """Answer with a status and nothing else."""
    return lambda request: request.head(status, Content_Length=0, **headers)


def other_part(request: Answering) -> None:
    """Send the part that begins one byte later than was asked for."""
    content, start = request.server.content, request.first_byte + 1
    content_range = f"bytes {start}-{len(content) - 1}/{len(content)}"
    request.head(206, Content_Length=len(content) - start, Content_Range=content_range)
    request.wfile.write(content[start:])


def hanging_up(request: Answering) -> None:
    """Close the connection without a word."""
    request.close_connection = True


def silent_after(count: int, ended: threading.Event, reached: threading.Event | None = None) -> Answer:
    """Send so many bytes, and then nothing more until the test has ended."""

    def answer(request: Answering) -> None:
        sound(request, count)
        request.wfile.flush()
        if reached is not None:
            reached.set()
        ended.wait(60)

    return answer
