"""Runs of ``separate`` in child processes, to which something happens; see ``cli/separation_server.py``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Tree = dict[str, bytes]
"""Content of files by their paths."""

_SCRIPT = Path(__file__).with_name("cli") / "separation_server.py"


class Server:
    """Asks for runs, any number at the same time, and waits for their end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def root(self) -> Path:
        """The file system as the server sees it."""
        return Path(f"/proc/{self._process.pid}/root")

    def __call__(self, *runs: dict[str, Any]) -> list[dict[str, Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"runs": runs}) + "\n")
        self._process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return answers


@contextmanager
def separation_server(launcher: Sequence[str] = ()) -> Iterator[Server]:
    """Start a server, by a program that replaces itself by the rest of its arguments."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "TERM": "xterm",
    }
    with subprocess.Popen(
        [*launcher, sys.executable, str(_SCRIPT)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def run(path: Path, output: Path, *options: str, gain: float = 0.5, **event: object) -> dict[str, Any]:
    """Describe a run for a `Server`."""
    return {"arguments": [str(path), "-o", str(output), *options], "gain": gain, **event}


def tree(folder: Path) -> Tree:
    """Every file below a folder, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
