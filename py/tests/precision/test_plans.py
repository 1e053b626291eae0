import os
from pathlib import Path

import pytest

from htdemucs_coreml.precision.plans import (
    FLOAT32_PLAN,
    FloatType,
    PlacedOperation,
    Plan,
    PlanError,
    Rule,
    parse_plan,
    read_plan,
    shipped_plans,
)

HEADER = 'summary = "A plan"\ndefault = "float32"\n'
CONV = PlacedOperation(("frequency_encoder_0", "conv"), "conv")
NORM = PlacedOperation(("frequency_encoder_0", "dconv", "0", "1"), "layer_norm")
CORE = PlacedOperation((), "reduce_mean")
OPERATIONS = (CONV, NORM, CORE)


def plan_of(*rules: str, header: str = HEADER) -> Plan:
    return parse_plan("mine", header + "".join(f"[[rules]]\n{rule}\n" for rule in rules))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("frequency_encoder_0", True),
        ("frequency_encoder_?", True),
        ("frequency_*", True),
        ("*", True),
        ("frequency_encoder_0.conv", True),
        ("frequency_encoder_0.dconv", False),
        ("frequency_encoder_0.conv.conv", False),
        ("frequency_encoder", False),
        ("conv", False),
        ("f.equency_encoder_0", False),
        ("frequency_encoder_[0]", False),
    ],
)
def test_a_pattern_names_a_block_and_all_within_it(pattern: str, matches: bool) -> None:
    plan = plan_of(f'blocks = ["{pattern}"]\ntype = "float16"')
    assert plan.type_of(CONV) is (FloatType.FLOAT16 if matches else FloatType.FLOAT32)


def test_the_last_rule_that_matches_decides() -> None:
    plan = plan_of('blocks = ["*"]\ntype = "float16"', 'blocks = ["*"]\noperations = ["layer_norm"]\ntype = "float32"')
    assert (plan.type_of(CONV), plan.type_of(NORM)) == (FloatType.FLOAT16, FloatType.FLOAT32)


def test_what_stands_outside_of_blocks_is_float32_in_every_plan() -> None:
    everything = plan_of('blocks = ["*"]\ntype = "float16"', header=HEADER.replace("float32", "float16"))
    assert everything.type_of(CORE) is FloatType.FLOAT32
    with pytest.raises(PlanError, match="the block core"):
        plan_of('blocks = ["core"]\ntype = "float16"').require_match(OPERATIONS, "fixture")


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ('blocks = ["frequency_encoder_*", "frequency_encoder_9"]\ntype = "float16"', "the block frequency_encoder_9"),
        ('blocks = ["*.conv"]\noperations = ["layer_norm"]\ntype = "float16"', "the operation type layer_norm"),
    ],
)
def test_a_name_that_matches_nothing_is_an_error_for_the_models_of_the_plan(rule: str, named: str) -> None:
    with pytest.raises(PlanError, match=f"rule 1 of plan mine names {named}, which this core does not have"):
        plan_of(rule).require_match(OPERATIONS, "fixture")
    for_others = plan_of(rule, header=HEADER + 'models = ["htdemucs_6s"]\n')
    for_others.require_match(OPERATIONS, "fixture")
    for model in ("htdemucs_6s", None):
        with pytest.raises(PlanError, match=named):
            for_others.require_match(OPERATIONS, model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "summary is missing"),
        ("summary = 3", "summary is not a text"),
        ('summary = "A"\ndefault = "bfloat16"', "default is 'bfloat16'; it has to be float16 or float32"),
        (HEADER + "rule = []", "the plan has the key 'rule'"),
        (HEADER + "rules = 1", "rules is not a list"),
        (HEADER + "rules = [1]", "rule 1 is not a table"),
        (HEADER + 'rules = [{ type = "float16" }]', "blocks of rule 1 is not a list of texts"),
        (HEADER + 'rules = [{ blocks = [], type = "float16" }]', "blocks of rule 1 is not a list of texts"),
        (HEADER + 'rules = [{ blocks = ["*"], operations = [1], type = "float16" }]', "operations of rule 1"),
        (HEADER + 'rules = [{ blocks = ["*"] }]', "type is missing"),
        (HEADER + "=", "malformed"),
        (HEADER + "x = " + "[" * 5000, "malformed"),
    ],
)
def test_a_malformed_plan_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=f"plan mine is malformed: .*{message}" if message != "malformed" else message):
        parse_plan("mine", text)


def test_the_shipped_plans_are_named_after_their_files() -> None:
    assert {"float16", "float32", "design-selector"} <= set(shipped_plans())
    assert FLOAT32_PLAN.is_float32
    assert not any(plan.is_float32 for name, plan in shipped_plans().items() if name != "float32")


def test_a_plan_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEADER)
    assert read_plan(path) == parse_plan("mine", HEADER)


def test_a_file_that_is_no_plan_is_one_clear_error(tmp_path: Path) -> None:
    for name, content, message in (
        ("float16.toml", HEADER.encode(), "has the name of another plan"),
        ("Mine.toml", HEADER.encode(), "has to be named after the plan"),
        ("mine.txt", HEADER.encode(), "has to be named after the plan"),
        ("mine-7_8s.toml", HEADER.encode(), "without -7_8s at the end"),
        ("mine.toml", b"\xff", "is not UTF-8 text"),
        ("large.toml", b"#" * (1 << 20) + b"\n", "it is no precision plan"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(PlanError, match=message):
            read_plan(path)
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        read_plan(tmp_path / "none.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(PlanError, match="is no plain file"):
        read_plan(tmp_path / "pipe.toml")


@pytest.mark.parametrize("pattern", ["*" * 40 + "x", "*e" * 40 + "x"])
def test_a_pattern_of_many_stars_is_matched_without_searching_forever(pattern: str) -> None:
    rule = Rule((pattern,), (), FloatType.FLOAT16)
    assert not rule.matches(PlacedOperation(("frequency_encoder_0" + "e" * 60,), "conv"))


def test_brackets_in_a_pattern_stand_for_themselves() -> None:
    assert Rule(("a[bc]",), (), FloatType.FLOAT16).matches(PlacedOperation(("a[bc]",), "conv"))
    assert not Rule(("a[bc]",), (), FloatType.FLOAT16).matches(PlacedOperation(("ab",), "conv"))
