from dataclasses import replace
from pathlib import Path

import click
import pytest

from htdemucs_coreml.compress.forms import PaletteForm
from htdemucs_coreml.compress.plans import parse_compression_plan
from htdemucs_coreml.fidelity.allocation import BudgetError
from htdemucs_coreml.fidelity.budget import FORMS, Derivation, Measurement, check, choose, measure, parse_size
from htdemucs_coreml.weights.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def other_checkpoint(small_checkpoint: Checkpoint) -> Checkpoint:
    """Of a model that plans for the fixture are not for."""
    return replace(small_checkpoint, entry=replace(small_checkpoint.entry, name="small"))


@pytest.fixture(scope="module")
def measured(other_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    return measure(other_checkpoint, tmp_path_factory.mktemp("budget"))


def least_bytes(measured: Measurement) -> int:
    return measured.fixed_bytes + sum(min(one.bytes for one in forms.values()) for forms in measured.weights.values())


def test_a_package_of_a_derived_plan_fills_its_budget_and_no_more(
    other_checkpoint: Checkpoint, measured: Measurement, tmp_path: Path
) -> None:
    budget = least_bytes(measured) + 50_000
    derivation = choose("mine", budget, measured)
    assert budget - 15_000 < check(other_checkpoint, derivation, tmp_path) <= budget
    with pytest.raises(BudgetError, match="the budget was 1000"):
        check(other_checkpoint, replace(derivation, budget=1000), tmp_path)


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
    with pytest.raises(BudgetError, match=f"a package takes {least / 1e6:.2f} MB at least; .* are too few"):
        choose("mine", least - 1, measured)


@pytest.mark.parametrize(("text", "size"), [("20MB", 20_000_000), ("19.5 MB", 19_500_000), ("800kB", 800_000)])
def test_a_budget_is_written_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["20", "MB", "-1MB", "20 GB", "1e3MB"])
def test_a_budget_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size; write 20MB"):
        parse_size(text)
