from pathlib import Path

import pytest
import torch

from htdemucs_coreml.convert.operation_names import block_of
from htdemucs_coreml.fidelity.derivation import multiply_adds_of, plan_text, units_of, whole_norms_of
from htdemucs_coreml.fidelity.probes import probe
from htdemucs_coreml.fidelity.selection import Candidate, energy, select
from htdemucs_coreml.fidelity.sensitivity import Sensitivity, measure
from htdemucs_coreml.mil import Program, read_package
from htdemucs_coreml.mil.analysis import operation_multiply_adds
from htdemucs_coreml.mil.emulation import Emulator
from htdemucs_coreml.precision.plans import FloatType, PlacedOperation, parse_plan
from small_model import SHORT_SEGMENT_SAMPLES


@pytest.fixture(scope="module")
def program(small_package: Path) -> Program:
    return read_package(small_package)


def test_units_share_no_operation_and_hold_every_multiply_add(program: Program) -> None:
    units = units_of(program)
    names = [name for unit in units for name in unit.operations]
    assert len(set(names)) == len(names)
    by_unit, total = multiply_adds_of(program)
    assert sum(by_unit.values()) == total == sum(map(operation_multiply_adds, program.main.operations))
    assert all(by_unit.values())


def test_a_written_plan_makes_the_chosen_units_float16_and_nothing_else(program: Program) -> None:
    by_unit, total = multiply_adds_of(program)
    score = {name: 60.0 + index for index, name in enumerate(by_unit)}
    candidates = [Candidate(name, count, {"music": energy(score[name])}) for name, count in by_unit.items()]
    chosen = select(candidates, total, 0.5)
    measured = {name: {"music": Sensitivity(score[name], 9000.0), "click": Sensitivity(10.0, 1.0)} for name in by_unit}
    text = plan_text(chosen, measured, by_unit, total, whole_norms_of(program))
    plan = parse_plan("mixed", text)
    names = {candidate.name for candidate in chosen}
    expected = {name for unit in units_of(program) if unit.name in names for name in unit.operations}
    placed = {one.name: PlacedOperation(block_of(one.name), one.type) for one in program.main.operations}
    assert {name for name, one in placed.items() if plan.type_of(one) is FloatType.FLOAT16} == expected
    plan.require_match(placed.values(), "fixture")
    assert text.count("headroom = 7, flagged = true") == len(by_unit)
    assert "worst_stem_db = 60.0" in text


def test_norms_over_all_elements_belong_to_no_unit_and_stay_float32(program: Program) -> None:
    norms = set(whole_norms_of(program))
    blocks = {".".join(block_of(name)) for unit in units_of(program) for name in unit.operations}
    assert {"time_transformer_0.norm_out", "frequency_encoder_3.dconv.0.1"} <= norms
    assert not norms & blocks
    assert "time_transformer_0.norm1" in blocks


def test_a_unit_is_measured_as_if_it_alone_were_float16(program: Program) -> None:
    units = [unit for unit in units_of(program) if unit.name in ("time_encoder_0.conv", "time_decoder_3.conv_tr")]
    mix = torch.from_numpy(probe("music", SHORT_SEGMENT_SAMPLES, 1))
    together = measure(Emulator(program), units, mix)
    for unit in units:
        assert measure(Emulator(program), [unit], mix)[unit.name] == together[unit.name]
        assert 40 < together[unit.name].worst_stem_db < 110
        assert 1 < together[unit.name].headroom < 65504
