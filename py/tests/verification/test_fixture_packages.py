"""The full-size packages that ship, as they lie on disk."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from htdemucs_coreml.package.lock import compare_with_lock, read_lock
from htdemucs_coreml.verification import verify_package
from small_model import FULL_SIZE_VARIANTS

GOLDENS = Path(__file__).parents[3] / "goldens"
# Above what `verify` demands; measured are 119 to 121 dB and 66 to 68 dB.
FLOOR_DB = {"float32": 115, "float32-7_8s": 115, "mixed": 64, "mixed-7_8s": 64}


@pytest.mark.parametrize("variant", FULL_SIZE_VARIANTS)
def test_the_package_computes_what_pytorch_computes(fixture_packages: Mapping[str, Path], variant: str) -> None:
    result = verify_package(fixture_packages[variant], None)
    assert result.passed
    assert min(result.stem_snr_db.values()) >= FLOOR_DB[variant]


@pytest.mark.parametrize("variant", FULL_SIZE_VARIANTS)
def test_the_package_is_the_locked_one(fixture_packages: Mapping[str, Path], variant: str) -> None:
    name = f"mlpackages.fixture.{variant}"
    entry = read_lock(GOLDENS / "lock.json").find(name)
    assert entry is not None
    verdict = compare_with_lock(fixture_packages[variant], entry, GOLDENS / "contents" / f"{name}.txt")
    assert verdict.differences == ()
    assert verdict.confirmed
