"""Every variant's bytes depend on neither the process, the number of threads nor the vector kernels of the CPU.

For ``budget20`` PyTorch runs the network, whose layers its palettes are made for. The small model stands for the
full-size one, which ``just repro-quick`` converts again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from htdemucs_coreml.convert.variants import variants

SCRIPT = Path(__file__).with_name("digests_of_variants.py")
AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
Digests = Mapping[str, Mapping[str, str]]


PLAIN_PYTORCH = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Nehalem"}
"""PyTorch's own kernels without vector units, and those of the libraries that multiply matrices."""


def digests(threads: int, hash_seed: int, disabled: str = "", others: Mapping[str, str] | None = None) -> Digests:
    """Sha256 of every file of every variant, converted by a process of its own."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": str(hash_seed),
        "NPY_DISABLE_CPU_FEATURES": disabled,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **(others or {}),
    }
    finished = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    found: Digests = json.loads(finished.stdout)
    return found


@pytest.fixture(scope="module")
def expected() -> Digests:
    """On one thread, with all that the CPU has."""
    return digests(threads=1, hash_seed=0)


def test_no_variant_and_no_file_is_left_out(expected: Digests) -> None:
    assert set(expected) == {name.removesuffix("-7_8s") for name in variants()}
    assert all(len(files) == 3 for files in expected.values())


@pytest.mark.parametrize(
    ("threads", "hash_seed", "disabled", "others"),
    [(2, 4711, AVX512, {}), (2, 0, f"{AVX512} AVX2 FMA3", PLAIN_PYTORCH)],
    ids=["two threads, another hash seed, numpy without AVX-512", "two threads, no vector units in numpy and PyTorch"],
)
def test_bytes_are_the_same_under_other_circumstances(
    expected: Digests, threads: int, hash_seed: int, disabled: str, others: Mapping[str, str]
) -> None:
    assert digests(threads, hash_seed, disabled, others) == expected
