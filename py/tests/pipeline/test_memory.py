"""Memory does not grow with the song: the benchmark of it, short enough to run every time."""

import os
import subprocess
import sys
from pathlib import Path

_PY = Path(__file__).parents[2]


def test_five_minutes_take_as_much_memory_as_one() -> None:
    """Five minutes that were held whole, once, would take a sixth more."""
    options = {"--short": "60", "--long": "300", "--rate": "44100", "--stems": "1"}
    command = [sys.executable, str(_PY / "bench" / "memory_bench.py")]
    finished = subprocess.run(
        [*command, *(word for option in options.items() for word in option)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(_PY / "tests")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
