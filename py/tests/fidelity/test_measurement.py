import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.fidelity.headroom import LargestFloat16
from htdemucs_coreml.fidelity.measurement import mean_relative_error, measured, predicted_stems, si_sdr_change_db
from htdemucs_coreml.fidelity.pessimistic import PessimisticScores
from htdemucs_coreml.fidelity.references import Reference, references
from htdemucs_coreml.fidelity.results import PackageFigures
from htdemucs_coreml.fidelity.weight_error import weights_snr_db
from htdemucs_coreml.mil import Interpreter, Program
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.precision.plans import shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from package_edits import edit_model, first_value_offset
from small_model import SHORT_SEGMENT_SAMPLES, SHORT_VARIANT

SIGNALS = ("music", "click")


@pytest.fixture(scope="module")
def expected(small_checkpoint: Checkpoint) -> list[Reference]:
    return list(references(small_checkpoint, SHORT_SEGMENT_SAMPLES, SIGNALS, seed=2))


@pytest.fixture(scope="module")
def float32_program(small_package: Path) -> Program:
    return read_program(small_package)


@pytest.fixture(scope="module")
def half_package(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "half.mlpackage"
    convert_checkpoint(small_checkpoint, replace(SHORT_VARIANT, plan=shipped_plans()["float16"]), path)
    return path


@pytest.fixture(scope="module")
def half(half_package: Path, expected: list[Reference], float32_program: Program) -> PackageFigures:
    return figures_of(half_package, expected, float32_program)


@pytest.fixture
def broken_package(small_package: Path, tmp_path: Path) -> Path:
    """The small package with one weight far off."""
    package = tmp_path / "broken.mlpackage"
    shutil.copytree(small_package, package)
    start = first_value_offset(package, "frequency_encoder_0__conv__conv__weight")
    weights = np.fromfile(package / WEIGHT_BIN, "<u1")
    weights[start : start + 4].view("<f4")[0] += 0.5
    (package / WEIGHT_BIN).write_bytes(weights.tobytes())
    edit_model(package)
    return package


def figures_of(package: Path, expected: Sequence[Reference], program: Program) -> PackageFigures:
    return measured(read_package(package), expected, program, pessimistic_db=0.0)


def test_a_float32_package_is_near_pytorch_and_has_no_headroom_to_speak_of(
    small_package: Path, expected: list[Reference], float32_program: Program
) -> None:
    figures = figures_of(small_package, expected, float32_program)
    music = figures.signals["music"]
    assert min(music.snr_db) > 110
    assert min(music.float64_snr_db) > 110
    assert max(music.mean_relative_error) < 1e-5
    assert max(map(abs, music.si_sdr_change_db)) < 1e-3
    assert (figures.float16_share, figures.casts, figures.largest_float16) == (0.0, 0, 0.0)
    assert figures.headroom == figures.weights_snr_db == math.inf
    assert figures.finite
    assert figures.sha256 == read_package(small_package).digest
    assert tuple(figures.signals) == SIGNALS


def test_a_package_with_a_broken_constant_scores_badly(
    broken_package: Path, expected: list[Reference], float32_program: Program
) -> None:
    figures = figures_of(broken_package, expected, float32_program)
    music = figures.signals["music"]
    assert min(music.snr_db) < 60
    assert max(music.mean_relative_error) > 1e-3
    assert max(music.maximum_error) > 1e-4
    assert figures.weights_snr_db < 60


def test_a_package_that_gives_what_is_expected_scores_infinitely(
    half_package: Path, expected: list[Reference], float32_program: Program
) -> None:
    interpreter = Interpreter(read_program(half_package))
    own = [replace(one, stems=predicted_stems(interpreter, one.mix)) for one in expected]
    for columns in figures_of(half_package, own, float32_program).signals.values():
        assert set(columns.snr_db) == {math.inf}
        assert set(columns.mean_relative_error) == set(columns.maximum_error) == set(columns.si_sdr_change_db) == {0.0}
        assert max(columns.float64_snr_db) < 110


def test_a_float16_package_has_what_float16_costs(half: PackageFigures) -> None:
    assert 30 < min(half.signals["music"].snr_db) < 80
    assert half.float16_share > 0.99
    assert half.casts > 0
    # 11 bits keep 74.7 dB of values spread evenly between powers of two; the fixture's lie on a grid and keep more.
    assert 74.7 < half.weights_snr_db < 90
    assert 1 < half.headroom < 65504


def test_the_largest_float16_value_is_that_of_all_signals(half_package: Path, expected: list[Reference]) -> None:
    program = read_program(half_package)
    interpreter = Interpreter(program)
    alone = []
    for reference in expected:
        largest = LargestFloat16(program)
        predicted_stems(interpreter, reference.mix, largest)
        alone.append(largest.magnitude)
    together = LargestFloat16(program)
    for reference in expected:
        predicted_stems(interpreter, reference.mix, together)
    assert together.magnitude == max(alone)
    assert len(set(alone)) == len(alone)
    assert together.name in {value.name for operation in program.main.operations for value in operation.outputs}


def test_constants_count_for_headroom_without_any_prediction(half_package: Path, small_package: Path) -> None:
    of_constants = LargestFloat16(read_program(half_package))
    assert 0 < of_constants.magnitude < 100
    assert LargestFloat16(read_program(small_package)).magnitude == 0


def test_a_value_that_overflowed_leaves_no_headroom() -> None:
    largest = LargestFloat16.__new__(LargestFloat16)
    largest.magnitude, largest.name = 1.0, "other"
    largest._take("overflowed", math.nan)
    assert (largest.magnitude, largest.name) == (math.inf, "overflowed")


def test_weights_are_compared_tensor_by_tensor(small_package: Path, broken_package: Path) -> None:
    truth = read_program(small_package)
    assert weights_snr_db(truth, truth) == math.inf
    assert math.isfinite(weights_snr_db(read_program(broken_package), truth))


def test_mean_relative_error_and_change_of_si_sdr_by_hand() -> None:
    reference = torch.tensor([[1.0, -3.0]], dtype=torch.float64)
    assert mean_relative_error(torch.tensor([[1.5, -3.0]], dtype=torch.float64), reference) == pytest.approx(0.125)
    assert mean_relative_error(torch.zeros(1, 2), torch.zeros(1, 2)) == 0
    assert mean_relative_error(torch.ones(1, 2), torch.zeros(1, 2)) == math.inf
    assert mean_relative_error(torch.full((1, 2), math.nan), torch.ones(1, 2)) == math.inf
    truth = torch.tensor([[1.0, 0.0]])
    assert si_sdr_change_db(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.1]]), truth) == pytest.approx(-20.0)
    assert si_sdr_change_db(truth, truth, truth) == 0
    assert si_sdr_change_db(torch.full((1, 2), math.nan), truth, truth) == -math.inf


def test_the_pessimistic_machine_costs_a_float16_variant_more_and_a_float32_variant_nothing(
    small_checkpoint: Checkpoint, half: PackageFigures, small_package: Path, expected: list[Reference], tmp_path: Path
) -> None:
    scores = PessimisticScores(small_checkpoint, ["music"], seed=2, samples=SHORT_SEGMENT_SAMPLES)
    pessimistic = scores.worst_db(replace(SHORT_VARIANT, plan=shipped_plans()["float16"]), tmp_path)
    assert pessimistic < min(half.signals["music"].snr_db) - 3
    music = expected[SIGNALS.index("music")]
    by_interpreter = music.scores(predicted_stems(Interpreter(read_program(small_package)), music.mix))
    assert scores.worst_db(SHORT_VARIANT, tmp_path) == min(by_interpreter)
