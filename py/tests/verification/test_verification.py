import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from htdemucs_coreml import verification
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.spectrogram import spectrogram
from htdemucs_coreml.verification import (
    Requirement,
    VerificationError,
    verify_package,
)
from htdemucs_coreml.weights.checkpoint import Checkpoint
from package_edits import edit_model, first_value_offset
from small_model import SMALL_ENTRY, SMALL_FOUR_STEM_ENTRY


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch, small_checkpoint: Checkpoint) -> Checkpoint:
    """Let the small package's model be found under the name that its metadata gives."""
    monkeypatch.setattr(verification, "find_model", lambda _name: SMALL_ENTRY)
    monkeypatch.setattr(verification, "load_weights", lambda *_: small_checkpoint)
    return small_checkpoint


@pytest.mark.usefixtures("small_model")
def test_a_sound_package_is_within_tolerance_of_pytorch(small_package: Path) -> None:
    result = verify_package(small_package, None)
    assert result.passed
    assert min(result.stem_snr_db.values()) >= 110
    assert result.stem_snr_db.keys() == set(SMALL_ENTRY.sources)


def test_a_package_with_channels_of_the_transformers_own_is_within_tolerance_of_pytorch(
    small_four_stem_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "find_model", lambda _name: SMALL_FOUR_STEM_ENTRY)
    result = verify_package(small_four_stem_package, None)
    assert result.passed
    assert tuple(result.stem_snr_db) == SMALL_FOUR_STEM_ENTRY.sources


@pytest.mark.usefixtures("small_model")
def test_a_package_with_one_changed_weight_fails(small_package: Path, tmp_path: Path) -> None:
    package = tmp_path / "changed.mlpackage"
    shutil.copytree(small_package, package)
    start = first_value_offset(package, "frequency_encoder_0__conv__conv__weight")
    weights = np.fromfile(package / WEIGHT_BIN, "<u1")
    weights[start : start + 4].view("<f4")[0] += 0.5
    (package / WEIGHT_BIN).write_bytes(weights.tobytes())
    edit_model(package)

    result = verify_package(package, None)
    assert not result.passed
    assert min(result.stem_snr_db.values()) < result.requirement.stem_floor_db


def test_other_weights_than_the_packages_own_are_refused(
    small_package: Path, small_model: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(small_model, sha256="0" * 64)
    monkeypatch.setattr(verification, "load_weights", lambda *_: other)
    with pytest.raises(VerificationError, match="was made from weights"):
        verify_package(small_package, None)


@pytest.mark.parametrize("bad", [math.nan, -math.inf, 109.9])
@pytest.mark.usefixtures("small_model")
def test_the_gate_refuses_nan_and_values_below_the_floor(small_package: Path, bad: float) -> None:
    result = verify_package(small_package, None)
    assert not replace(result, stem_snr_db={**result.stem_snr_db, "bass": bad}).passed
    assert not replace(result, output_within_tolerance={**result.output_within_tolerance, "stems_real": False}).passed


@pytest.mark.parametrize(
    ("variant", "given", "floor_db", "every_element"),
    [
        ("float32-7_8s", None, 110, True),
        ("float32", 100.0, 100, True),
        ("mixed", None, 60, False),
        ("mixed-7_8s", 65.0, 65, False),
        ("float16", None, 50, False),
        ("plan_of_ones_own", 40.0, 40, False),
    ],
)
@pytest.mark.usefixtures("small_model")
def test_what_is_required_follows_from_the_variant_or_is_given(
    small_package: Path, tmp_path: Path, variant: str, given: float | None, floor_db: float, every_element: bool
) -> None:
    package = of_variant(small_package, tmp_path / "x.mlpackage", variant)
    result = verify_package(package, None, stem_floor_db=given)
    assert result.requirement == Requirement(floor_db, every_element)
    outside = replace(result, output_within_tolerance={**result.output_within_tolerance, "stems_real": False})
    assert outside.passed != every_element
    assert not replace(result, stem_snr_db={**result.stem_snr_db, "bass": floor_db - 0.1}).passed


@pytest.mark.usefixtures("small_model")
def test_a_plan_of_ones_own_needs_a_floor(small_package: Path, tmp_path: Path) -> None:
    package = of_variant(small_package, tmp_path / "x.mlpackage", "plan_of_ones_own")
    with pytest.raises(VerificationError, match="say with --floor how many dB"):
        verify_package(package, None)


def of_variant(small_package: Path, path: Path, variant: str) -> Path:
    """The small package under the name of another variant."""
    shutil.copytree(small_package, path)
    edit_model(path, lambda model: model.description.metadata.userDefined.update({"variant": variant}))
    return path


def test_silence_is_not_separated_into_something_else(small_package: Path, small_checkpoint: Checkpoint) -> None:
    interpreter = InterpreterBackend(small_package)
    samples = interpreter.contract.segment_samples
    silence = torch.zeros(1, 2, samples)
    mixed = spectrogram(silence)
    inputs = (mixed.real.contiguous(), mixed.imag.contiguous(), silence)
    reference = TorchBackend(small_checkpoint, samples).predict(*inputs)
    for actual, expected in zip(interpreter.predict(*inputs), reference, strict=True):
        assert torch.allclose(actual, expected, atol=1e-7)
        assert float(actual.abs().max()) < 1e-3


def test_the_interpreter_gives_the_same_answer_twice(small_package: Path) -> None:
    interpreter = InterpreterBackend(small_package)
    song = torch.from_numpy(synthetic_song(interpreter.contract.segment_samples))[None]
    mixed = spectrogram(song)
    first = interpreter.predict(mixed.real.contiguous(), mixed.imag.contiguous(), song)
    second = interpreter.predict(mixed.real.contiguous(), mixed.imag.contiguous(), song)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
