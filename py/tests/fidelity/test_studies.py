"""Studies as data, and what is measured of them on the small model."""

import math
from pathlib import Path

import pytest

from htdemucs_coreml.convert.element_types import MOVING
from htdemucs_coreml.convert.operation_names import block_of
from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.studies import Studies, parse_studies, shipped_studies
from htdemucs_coreml.fidelity.study_measurement import measured_studies
from htdemucs_coreml.mil import read_package
from htdemucs_coreml.precision.plans import FloatType, PlacedOperation, Plan, PlanError, shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_SEGMENT_SAMPLES

PLAN = '[plans.float16]\ntitle = "all"\nplan = "float16"\n'
MISSPELT = '{ operations = ["softmax_"] }'


def studies_of(*rows: str) -> Studies:
    """A study of float16 on music, of rows given as TOML without their names, which are their numbers."""
    tables = "".join(f'[[studies.one.rows]]\nname = "{number}"\n{row}\n' for number, row in enumerate(rows))
    return parse_studies(f'{PLAN}[studies.one]\nsignals = ["music"]\n{tables}')


@pytest.fixture(scope="module")
def placed(small_package: Path) -> list[PlacedOperation]:
    """The operations of the small model's core, as plans see them."""
    operations = read_package(small_package).main.operations
    return [PlacedOperation(block_of(one.name), one.type) for one in operations if one.type not in MOVING]


def test_every_pattern_of_the_shipped_studies_matches_something(placed: list[PlacedOperation]) -> None:
    for study in shipped_studies().studies:
        for row in study.rows:
            row.accumulators.require_match(placed, "fixture")
            Plan("added", "", FloatType.FLOAT16, row.float32, None).require_match(placed, "fixture")


def test_a_plan_without_its_rules_of_a_type_is_as_it_is_elsewhere(placed: list[PlacedOperation]) -> None:
    studied = {plan.name: plan.plan for plan in shipped_studies().plans}
    mixed = shipped_plans()["mixed"]
    others = {one for one in placed if studied["mixed"].type_of(one) is not mixed.type_of(one)}
    assert {one.block[1] for one in others} == {"norm_out"}
    assert all(studied["mixed"].type_of(one) is FloatType.FLOAT16 for one in others)
    assert studied["float16"] == shipped_plans()["float16"]


def test_a_row_adds_rules_after_those_of_the_plan(placed: list[PlacedOperation]) -> None:
    (study,) = studies_of('float32 = [{ blocks = ["*_encoder_*"], operations = ["conv"] }]').studies
    mixed = shipped_plans()["mixed"]
    changed = study.rows[0].applied_to(mixed)
    named = {one for one in placed if one.type == "conv" and one.block and "_encoder_" in one.block[0]}
    assert any(mixed.type_of(one) is FloatType.FLOAT16 for one in named)
    for one in placed:
        assert changed.type_of(one) is (FloatType.FLOAT32 if one in named else mixed.type_of(one))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'plans'"),
        (PLAN, "'studies'"),
        (PLAN.replace('"float16"', '"float8"'), "'float8'; there are"),
        (PLAN + 'without = "float32"', "float16 has none"),
        (PLAN + 'without = "float8"', "float8"),
        (PLAN + "colour = 1", "'colour'"),
        (PLAN + '[studies.one]\nsignals = ["speech"]\nrows = []', "'speech'"),
        (PLAN + '[studies.one]\nsignals = ["music"]\nrows = [{ name = "a" }, { name = "a" }]', "two rows of one name"),
        (PLAN + '[studies.one]\nsignals = ["music"]\nrows = [{ name = "a", float32 = [{ block = "*" }] }]', "'block'"),
        (
            PLAN + '[studies.one]\nsignals = ["music"]\nrows = [{ name = "a", float32 = [{ blocks = [] }] }]',
            "blocks of",
        ),
    ],
)
def test_malformed_studies_are_refused(text: str, message: str) -> None:
    with pytest.raises(FidelityError, match=message):
        parse_studies(text)


@pytest.mark.parametrize("key", ["float32", "accumulators"])
def test_a_rule_that_matches_nothing_is_an_error(small_checkpoint: Checkpoint, key: str) -> None:
    with pytest.raises(PlanError, match="softmax_, which this core does not have"):
        measured_studies(studies_of(f"{key} = [{MISSPELT}]"), small_checkpoint, SHORT_SEGMENT_SAMPLES)


def test_rows_are_measured_with_their_accumulators_and_their_types(small_checkpoint: Checkpoint) -> None:
    converted: list[str] = []
    studies = studies_of(
        "",
        'accumulators = [{ operations = ["conv"] }]',
        "accumulators = [{}]",
        "accumulators = [{}]\nfloat32 = [{}]",
    )
    measured = measured_studies(studies, small_checkpoint, SHORT_SEGMENT_SAMPLES, converted.append)
    nothing, convolutions, everything, single = (measured["one", str(number), "float16"] for number in range(4))
    scores = [figures.worst_stem_db[0] for figures in (single, nothing, convolutions, everything)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert scores[0] > 110
    assert not math.isinf(scores[1])
    assert nothing.summing == single.summing == single.casts == 0
    assert 0 < convolutions.summing < everything.summing
    assert nothing.casts == convolutions.casts == everything.casts > 0
    # Rows of the same rules share a package.
    assert len(converted) == 2
