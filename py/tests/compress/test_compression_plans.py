"""Compression plans are read strictly, and a pattern that matches nothing is an error."""

from pathlib import Path

import pytest

from htdemucs_coreml.compress.forms import Int8Form, PaletteForm
from htdemucs_coreml.compress.plans import (
    CompressionPlan,
    CompressionPlanError,
    parse_compression_plan,
    read_compression_plan,
    shipped_compression_plans,
)

HEADER = 'summary = "A plan"\ndefault = "palette6"\n'
LINEAR = ("frequency_transformer_0", "linear1")
CONV = ("frequency_encoder_0", "conv")


def plan_of(*rules: str, header: str = HEADER) -> CompressionPlan:
    return parse_compression_plan("mine", header + "".join(f"[[rules]]\n{rule}\n" for rule in rules))


def test_the_last_rule_that_matches_decides_and_the_default_elsewhere() -> None:
    plan = plan_of(
        'blocks = ["*"]\nform = "int8-channel"',
        'blocks = ["frequency_transformer_*.linear1"]\nform = "palette4"',
        'blocks = ["time_*"]\nform = "none"',
    )
    assert plan.form_for(LINEAR) == PaletteForm(4)
    assert plan.form_for(CONV) == Int8Form(by_block=False)
    assert plan.form_for(("time_encoder_0", "conv")) is None
    assert plan_of().form_for(CONV) == PaletteForm(6)


def test_a_pattern_that_matches_nothing_is_an_error_for_the_models_of_the_plan() -> None:
    rule = 'blocks = ["frequency_*", "decoder_0"]\nform = "none"'
    with pytest.raises(
        CompressionPlanError, match="rule 1 of plan mine names decoder_0, where this core has no weight"
    ):
        plan_of(rule).require_match([LINEAR, CONV], "fixture")
    for_others = plan_of(rule, header=HEADER + 'models = ["htdemucs_6s"]\n')
    for_others.require_match([LINEAR, CONV], "fixture")
    for model in ("htdemucs_6s", None):
        with pytest.raises(CompressionPlanError, match="decoder_0"):
            for_others.require_match([LINEAR, CONV], model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "summary is missing"),
        ('summary = "A"\ndefault = "palette5"', "there is no form 'palette5'"),
        (HEADER + "calibrated = 1", "calibrated is neither true nor false"),
        (HEADER + "rule = []", "the plan has the key 'rule'"),
        (HEADER + "rules = 1", "rules is not a list"),
        (HEADER + "rules = [1]", "rule 1 is not a table"),
        (HEADER + 'rules = [{ form = "none" }]', "blocks of rule 1 is not a list of texts"),
        (HEADER + 'rules = [{ blocks = ["*"] }]', "form is missing"),
        (HEADER + 'rules = [{ blocks = ["*"], type = "none" }]', "rule 1 has the key 'type'"),
        (HEADER + "=", ""),
    ],
)
def test_a_malformed_plan_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(CompressionPlanError, match=f"plan mine is malformed: .*{message}"):
        parse_compression_plan("mine", text)


def test_a_plan_of_ones_own_is_read_from_a_file_that_is_not_named_as_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEADER)
    assert read_compression_plan(path) == parse_compression_plan("mine", HEADER)
    other = tmp_path / "palette4.toml"
    other.write_text(HEADER)
    with pytest.raises(CompressionPlanError, match="has the name of another plan"):
        read_compression_plan(other)
    with pytest.raises(CompressionPlanError, match="cannot be read"):
        read_compression_plan(tmp_path / "none.toml")


def test_the_shipped_plans_have_a_form_for_everything() -> None:
    plans = shipped_compression_plans()
    assert {f"palette{bits}" for bits in (1, 2, 3, 4, 6, 8)} | {"int8-channel", "int8-block"} <= set(plans)
    assert plans["palette6"].form_for(CONV) == PaletteForm(6)
