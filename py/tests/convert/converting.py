"""Convert the small model under a plan, in a process of its own: ``python converting.py PLAN_FILE THREADS PACKAGE``."""

import sys
from pathlib import Path

import torch

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.precision.plans import read_plan
from htdemucs_coreml.weights.source import load_weights
from small_model import SHORT_VARIANT, SMALL_ENTRY

if __name__ == "__main__":
    _, plan, threads, package = sys.argv
    torch.set_num_threads(int(threads))
    convert_checkpoint(load_weights(SMALL_ENTRY, None), SHORT_VARIANT.with_plan(read_plan(Path(plan))), Path(package))
