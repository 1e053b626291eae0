"""Run ``separate`` on a core that takes its time, for a test that sends signals: arguments as for the tool."""

import sys
import time

import torch
from torch import Tensor

from fake_cores import FakeCore
from htdemucs_coreml import backends
from htdemucs_coreml.cli import main


def slow_stems(waveform: Tensor) -> Tensor:
    """Two stems, after a pause that is long for a test and over at once when a signal comes."""
    time.sleep(0.5)
    return torch.stack([waveform, waveform])


if __name__ == "__main__":
    backends.load_backend = lambda *_, **__: FakeCore(("drums", "bass"), 441_000, slow_stems)
    main(sys.argv[1:])
