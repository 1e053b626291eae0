"""Runs a module of the workspace under a variation, in a process of its own that may take so long and no longer."""

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from repro.variations import Variation
from repro.workspace import Workspace

FIXED_LAYOUT = ("setarch", "--addr-no-randomize")
_ENDING = 2000
_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes
    ----------
    problem : str or None
        What went wrong, with the last of what it printed; None if nothing did.
    """

    problem: str | None


def interpreter() -> Path:
    """Python's real program: what stands on PATH may be a script that starts it."""
    real = Path("/proc/self/exe")
    return real.resolve() if real.exists() else Path(sys.executable)


def ways(variation: Variation) -> list[tuple[str, ...]]:
    """The ways of a variation whose program is installed."""
    return [way for way in variation.ways if not way or shutil.which(way[0])]


def not_here(variation: Variation) -> str | None:
    """Why a variation cannot run on this machine, as far as that can be said without trying."""
    if platform.system() != "Linux":
        return f"{platform.system()} is not Linux"
    if variation.machine is not None and platform.machine() != variation.machine:
        return f"{platform.machine()} is not {variation.machine}"
    missing = [flag for flag in variation.cpu if flag not in cpu_flags()]
    if missing:
        return f"this CPU has no {', '.join(missing)}"
    if not ways(variation):
        return f"{' and '.join(dict.fromkeys(way[0] for way in variation.ways))} not installed"
    return None


def cpu_flags() -> frozenset[str]:
    """Flags of this machine's CPUs, as Linux names them."""
    return frozenset(_cpu_field("flags").split())


def cpu_name() -> str:
    """What this machine's CPU calls itself."""
    return _cpu_field("model name") or platform.processor() or platform.machine()


def run_module(
    workspace: Workspace, variation: Variation, way: Sequence[str], module: Sequence[str], seconds: int, fixed: bool
) -> Ended:
    """Run ``python -m MODULE…`` in a workspace.

    Parameters
    ----------
    workspace : Workspace
        Where.
    variation : Variation
        What is different.
    way : sequence of str
        One of the variation's ways.
    module : sequence of str
        The module and its arguments.
    seconds : int
        How long it may take.
    fixed : bool
        Whether the address-space layout can be fixed here; then it is, unless the variation is about it.
    """
    layout = FIXED_LAYOUT if fixed and not variation.layout else ()
    command = [*layout, *way, str(interpreter()), "-S", "-m", *module]
    try:
        process = subprocess.Popen(  # noqa: S603 # The commands stand in variations.toml.
            command,
            cwd=workspace.folder,
            env=_environment(workspace, variation.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=int(variation.umask, 8),
        )
    except OSError as error:
        return Ended(f"{command[0]} cannot be run: {error.strerror}")
    _running.add(process)
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        process.communicate()
        return Ended(f"it took more than {seconds} s and was ended")
    finally:
        _running.discard(process)
    if process.returncode == 0:
        return Ended(None)
    ending = printed.decode("utf-8", "replace")[-_ENDING:].strip()
    return Ended(f"{command[len(layout)]} ended with status {process.returncode}\n{ending}")


def end_all() -> None:
    """End every process that runs; they have groups of their own, which a signal to this one does not reach."""
    for process in tuple(_running):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(workspace: Workspace, varied: Mapping[str, str]) -> dict[str, str]:
    installed = [path for path in sys.path if path.endswith("-packages")]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TZDIR") if name in os.environ}
    return {
        "HOME": str(workspace.folder / "home"),
        "LC_ALL": "C.UTF-8",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([*map(str, workspace.python_path), *installed]),
        "TMPDIR": str(workspace.folder / "tmp"),
        "TZ": "UTC",
        "USER": "reference",
        **kept,
        **varied,
    }


def _cpu_field(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
