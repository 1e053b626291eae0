"""Run ``separate`` again and again, in a fresh child process each time, with something happening to it on the way.

Requests are lines of JSON on standard input, answers on standard output. Everything is imported once, so that a run
costs little. The core is a fake one with segments of 8192 samples.

A request is ``{"runs": [run, …]}``; its runs go on at the same time. A run has ``arguments`` of ``separate``, ``gain``
(what the core's stems are multiples of) and, optionally, at which ``step`` something happens: a ``signal`` to itself or
a pause of ``seconds``. Steps are the run's operations on files in its output folder, from 0. With ``after`` seconds in
place of a ``step``, the signal comes from outside; ``streams`` are what `set_streams` takes. The answer is a list with
``status``, ``steps``, ``output`` and ``errors`` of each.
"""

import json
import os
import pty
import signal
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from fake_cores import gains_core
from htdemucs_coreml.backends.base import CoreBackend
from htdemucs_coreml.cli import main, separate
from htdemucs_coreml.pipeline.chunk_plan import ChunkPlan, design_plan

SEGMENT_SAMPLES = 8192


class Steps:
    """Counts operations on files below a folder, and does something at one of them."""

    def __init__(self, folder: str, run: dict[str, Any]) -> None:
        self._folder = folder
        self._run = run
        self.count = 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        touches = any(
            isinstance(each, str | os.PathLike) and os.fspath(each).startswith(self._folder) for each in arguments
        )
        if not (event == "fcntl.flock" or (touches and (event == "open" or event.startswith("os.")))):
            return
        step, self.count = self.count, self.count + 1
        if step == self._run.get("step"):
            if "signal" in self._run:
                os.kill(os.getpid(), self._run["signal"])
            time.sleep(self._run.get("seconds", 0))


def child(run: dict[str, Any], report: Path) -> None:
    """Run ``separate`` and end."""
    torch.set_num_threads(1)
    set_streams(run.get("streams", "files"), report)
    core = gains_core({"drums": run["gain"], "bass": -run["gain"]}, SEGMENT_SAMPLES)
    core.identity = f"gain {run['gain']}"

    def load(*_: object) -> tuple[CoreBackend, ChunkPlan]:
        return core, design_plan(segment_samples=SEGMENT_SAMPLES)

    mock.patch.object(separate.CoreChoice, "load", load).start()
    arguments = list(run["arguments"])
    steps = Steps(arguments[arguments.index("-o") + 1], run)
    sys.addaudithook(steps)
    try:
        main(["separate", *arguments, "--package", "p"])
    except SystemExit as exited:
        (report / "steps").write_text(str(steps.count))
        if sys.stdout is not None and run.get("streams") != "broken":
            sys.stdout.flush()
        if run.get("streams") == "terminal":
            time.sleep(0.1)
        if run.get("streams") == "closed":
            (report / "output").write_text(" ".join(map(leads_to, range(3))))
        os._exit(int(exited.code or 0))


def set_streams(kind: str, report: Path) -> None:
    """Send output and error to ``files``, or output to a ``broken`` pipe or error to a ``terminal``, or close all."""
    for name, descriptor in (("output", 1), ("errors", 2)):
        os.dup2(os.open(report / name, os.O_WRONLY | os.O_CREAT), descriptor)
    if kind == "broken":
        read_end, write_end = os.pipe()
        os.close(read_end)
        os.dup2(write_end, 1)
    if kind == "terminal":
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        os.dup2(slave, 2)
        threading.Thread(target=copy, args=(master, report / "errors"), daemon=True).start()
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w") for descriptor in (1, 2))
    if kind == "closed":
        for descriptor in range(3):
            os.close(descriptor)
        # As Python has them where a program is started so.
        for name in ("stdout", "stderr"):
            mock.patch.object(sys, name, None).start()


def leads_to(descriptor: int) -> str:
    """What a standard descriptor is open on."""
    try:
        return "nothing" if os.path.samestat(os.fstat(descriptor), Path(os.devnull).stat()) else "something"
    except OSError:
        return "closed"


def copy(descriptor: int, path: Path) -> None:
    """Write what comes from a descriptor into a file, piece by piece."""
    with path.open("ab", buffering=0) as file:
        while True:
            file.write(os.read(descriptor, 1024))


def start(run: dict[str, Any], report: Path) -> int:
    """Start a run and return its process."""
    process = os.fork()
    if process:
        return process
    try:
        child(run, report)
    finally:
        os._exit(99)


def send_later(process: int, number: int, seconds: float) -> None:
    """Send a signal unless the process has ended; it has not been waited for, so that its number is its own."""
    time.sleep(seconds)
    os.kill(process, number)


def printed(path: Path) -> str:
    """What a run printed, with a terminal's carriage returns; nothing if it was ended before."""
    return path.read_bytes().decode() if path.exists() else ""


def answer(request: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Go through a request's runs."""
    started = []
    for number, run in enumerate(request["runs"]):
        report = folder / str(number)
        report.mkdir()
        process = start(run, report)
        senders = []
        if "after" in run:
            sender = threading.Thread(target=send_later, args=(process, run["signal"], run["after"]))
            sender.start()
            senders = [sender]
        started.append((process, report, senders))
    answers = []
    for process, report, senders in started:
        for sender in senders:
            sender.join()
        _, status = os.waitpid(process, 0)
        steps = report / "steps"
        answers.append(
            {
                "status": os.waitstatus_to_exitcode(status),
                "steps": int(steps.read_text()) if steps.exists() else None,
                "output": printed(report / "output"),
                "errors": printed(report / "errors"),
            }
        )
    return answers


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(answer(json.loads(line), Path(folder))) + "\n")
            sys.stdout.flush()
