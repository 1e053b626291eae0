import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import htdemucs_coreml.fidelity.budget as budget_module
from htdemucs_coreml.compress.forms import PaletteForm
from htdemucs_coreml.compress.plans import CompressionPlanError, parse_compression_plan
from htdemucs_coreml.fidelity.allocation import BudgetError
from htdemucs_coreml.fidelity.budget import FORMS, Derivation, Measurement, check, choose, command, measure, parse_size
from htdemucs_coreml.weights.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def other_checkpoint(small_checkpoint: Checkpoint) -> Checkpoint:
    """Of a model that plans for the fixture are not for."""
    return replace(small_checkpoint, entry=replace(small_checkpoint.entry, name="small"))


@pytest.fixture(scope="module")
def measured(other_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget_module, "SIGNALS", ("music",))
        return measure(other_checkpoint, tmp_path_factory.mktemp("budget"))


def least_bytes(measured: Measurement) -> int:
    return measured.fixed_bytes + sum(min(one.bytes for one in forms.values()) for forms in measured.weights.values())


def test_a_package_of_a_derived_plan_fills_its_budget_and_no_more(
    other_checkpoint: Checkpoint, measured: Measurement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = least_bytes(measured) + 50_000
    derivation = choose("mine", budget, measured)
    found = check(other_checkpoint, derivation, tmp_path)
    assert budget - 15_000 < found <= budget
    # The package is there already.
    monkeypatch.setattr(budget_module, "convert_checkpoint", lambda *_: None)
    assert check(other_checkpoint, replace(derivation, budget=found), tmp_path) == found
    with pytest.raises(BudgetError, match=f"has {found} bytes; the budget was {found - 1}"):
        check(other_checkpoint, replace(derivation, budget=found - 1), tmp_path)


def test_more_bits_add_less_error(measured: Measurement) -> None:
    for forms in measured.weights.values():
        assert forms["palette8"].noise < forms["palette4"].noise / 4 < forms["palette3"].noise / 4


def test_the_plan_that_is_written_gives_every_weight_the_form_that_was_chosen(measured: Measurement) -> None:
    derivation = choose("mine", least_bytes(measured) + 50_000, measured)
    assert len(set(derivation.forms.values())) > 1
    plan = parse_compression_plan("mine", derivation.text())
    assert plan.calibrated
    for block, form in derivation.forms.items():
        assert plan.form_for(tuple(block.split("."))) == PaletteForm(FORMS[form])


def test_a_budget_that_nothing_fits_is_an_error_that_says_what_does(measured: Measurement) -> None:
    least = least_bytes(measured)
    assert isinstance(choose("mine", least, measured), Derivation)
    with pytest.raises(BudgetError, match=r"a package takes .* at least; .* are too few") as caught:
        choose("mine", least - 1, measured)
    said = re.search(r"takes ([0-9.]+ MB)", str(caught.value))
    assert said
    assert least <= parse_size(said[1]) < least + 10_000
    assert isinstance(choose("mine", parse_size(said[1]), measured), Derivation)


def test_forms_that_keep_every_weight_are_infinitely_near(measured: Measurement) -> None:
    exact = {
        name: {form: replace(option, noise=0.0) for form, option in forms.items()}
        for name, forms in measured.weights.items()
    }
    text = choose("mine", least_bytes(measured), replace(measured, weights=exact)).text()
    assert tomllib.loads(text)["derivation"]["predicted_stem_db"] == math.inf
    assert parse_compression_plan("mine", text).calibrated


@pytest.mark.parametrize("name", ["mine", "mine.txt", "Mine.toml", "mine-7_8s.toml"])
def test_a_file_that_convert_would_refuse_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(budget_module, "load_weights", lambda *_: pytest.fail("weights were loaded"))
    result = CliRunner().invoke(command, ["--budget", "20MB", "-o", str(tmp_path / name)])
    assert isinstance(result.exception, CompressionPlanError)
    assert "has to be named after the plan" in str(result.exception)


@pytest.mark.parametrize(("text", "size"), [("20MB", 20_000_000), ("19.5 MB", 19_500_000), ("800kB", 800_000)])
def test_a_budget_is_written_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["20", "MB", "-1MB", "20 GB", "1e3MB", f"{10**400}MB"])
def test_a_budget_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size; write 20MB"):
        parse_size(text)
