"""Compress the small model, in a process of its own: ``python converting_compressed.py PLAN_FILE THREADS PACKAGE``."""

import sys
from pathlib import Path

import torch

from htdemucs_coreml.compress.plans import read_compression_plan
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.precision.plans import shipped_plans
from htdemucs_coreml.weights.source import load_weights
from small_model import SHORT_VARIANT, SMALL_ENTRY

if __name__ == "__main__":
    _, plan, threads, package = sys.argv
    torch.set_num_threads(int(threads))
    half = SHORT_VARIANT.with_plan(shipped_plans()["float16"])
    variant = half.with_compression(read_compression_plan(Path(plan)))
    convert_checkpoint(load_weights(SMALL_ENTRY, None), variant, Path(package))
