import math
from collections.abc import Mapping

import pytest

from committed_goldens import REPOSITORY
from htdemucs_coreml.fidelity.pessimistic import SAMPLES
from htdemucs_coreml.fidelity.report import HELD_OUT_SEED
from htdemucs_coreml.fidelity.studies import Studies, shipped_studies
from htdemucs_coreml.fidelity.study_measurement import MODEL
from htdemucs_coreml.fidelity.study_page import ACCUMULATORS, NO_FLOAT16, OPERATIONS, REMEDIES, Figures, Measured, page

STUDIES = shipped_studies()
Changes = Mapping[tuple[str, str, str], Figures]


def figures(*worst_stem_db: float, casts: int = 40, summing: int = 9) -> Figures:
    return Figures(worst_stem_db, casts, summing)


def measured(changes: Changes) -> dict[tuple[str, str, str], Figures]:
    """60 dB of everything, but for some."""
    keys = ((study, row.name, plan.name) for study in STUDIES.studies for row in study.rows for plan in STUDIES.plans)
    return {(study.name, row, plan): figures(*[60.0] * len(study.signals)) for study, row, plan in keys} | dict(changes)


def made(changes: Changes) -> str:
    """The page, each paragraph in one line."""
    return page(STUDIES, measured(changes), MODEL, SAMPLES, HELD_OUT_SEED).replace("\n  ", " ")


def sentences(text: str) -> str:
    return " ".join(text.split())


def test_every_row_has_its_figures_for_every_plan_in_the_order_of_the_signals() -> None:
    changes = {
        (ACCUMULATORS, "everything", "float16"): figures(2.54, 2.25, -math.inf),
        (REMEDIES, "all norms", "mixed"): figures(60.55, 60.64, 60.51, casts=97),
    }
    lines = made(changes).splitlines()
    assert "| everything | 2.5, 2.2, -inf | 60.0, 60.0, 60.0 |" in lines
    assert "| all norms | 60.0, 60.0, 60.0 | 40 | 60.5, 60.6, 60.5 | 97 |" in lines
    for study in STUDIES.studies:
        for row in study.rows:
            assert any(line.startswith(f"| {row.name} |") for line in lines)


def test_operations_that_are_all_float32_have_no_figures() -> None:
    branches, nothing = "norms in residual branches", "nothing"
    changes = {(ACCUMULATORS, row, "mixed"): figures(60.0, 60.0, 60.0, summing=0) for row in (branches, nothing)}
    lines = made(changes).splitlines()
    assert f"| {branches} | 60.0, 60.0, 60.0 | {NO_FLOAT16} |" in lines
    assert f"| {nothing} | 60.0, 60.0, 60.0 | 60.0, 60.0, 60.0 |" in lines


def test_what_remedies_bring_is_said_with_their_figures() -> None:
    last = "last norms of the transformer's layers"
    changes = {
        (ACCUMULATORS, f"{last}, over whole values", "mixed"): figures(14.7, 14.3, 16.3),
        (REMEDIES, last, "mixed"): figures(60.5, 60.6, 60.4, casts=61),
    }
    text = sentences(made(changes))
    assert "alone leave 14.3 to 16.3 dB, everything together 60.0 dB" in text
    assert "bring `mixed` to 60.4 to 60.6 dB for 21 more casts" in text


@pytest.mark.parametrize(
    ("attention_db", "answer"),
    [(60.94, "It hardly matters: float32 moves no figure by more than 0.9 dB"), (58.9, "It matters: ")],
)
def test_the_question_of_attention_is_answered_from_the_figures_of_every_plan(attention_db: float, answer: str) -> None:
    changes = {(OPERATIONS, "attention", "float16"): figures(60.0, 60.0, attention_db, 60.0, 60.0, 60.0)}
    assert answer in sentences(made(changes))
    changes = {(REMEDIES, "all norms, and attention", "mixed"): figures(60.0, attention_db, 60.0)}
    assert ("It matters" in made(changes)) == (attention_db == 58.9)


def test_the_row_that_gains_most_is_named() -> None:
    best = figures(67.0, 66.0, 67.0, 67.0, 67.0, 67.0)
    for row in ("convolutions", "linear operations"):
        text = sentences(made({(OPERATIONS, row, "mixed"): best}))
        assert f"loses it loses most of in {row}: in float32 they gain 6.0 to 7.0 dB, the transformer 0.0 dB" in text


def test_the_same_infinity_before_and_after_is_no_change() -> None:
    lost = figures(-math.inf, 60.0, 60.0, 60.0, 60.0, 60.0)
    text = made({(OPERATIONS, row, "float16"): lost for row in ("nothing", "attention")})
    assert "moves no figure by more than 0.0 dB" in sentences(text)


def read_back(text: str, studies: Studies) -> Measured:
    """Figures of a page's tables, which stand in the order of the studies."""
    tables = [table.splitlines()[2:] for table in text.split("\n\n") if table.startswith("| ")]
    found = {}
    for study, lines in zip(studies.studies, tables, strict=True):
        for row, line in zip(study.rows, lines, strict=True):
            name, *cells = line.strip("| ").split(" | ")
            assert name == row.name
            with_casts = len(cells) > len(studies.plans)
            for number, plan in enumerate(studies.plans):
                worst = cells[2 * number if with_casts else number]
                summing = 0 if worst == NO_FLOAT16 else 1
                scores = map(float, worst.split(", ")) if summing else (0.0,) * len(study.signals)
                casts = int(cells[2 * number + 1]) if with_casts else 0
                found[study.name, row.name, plan.name] = Figures(tuple(scores), casts, summing)
    return found


def test_the_committed_page_is_what_its_own_tables_give() -> None:
    text = (REPOSITORY / "docs" / "precision-studies.md").read_text(encoding="utf-8")
    assert page(STUDIES, read_back(text, STUDIES), MODEL, SAMPLES, HELD_OUT_SEED) == text
