"""Measures the studies of precision plans: ``python -m htdemucs_coreml.fidelity.study_measurement -o PAGE``.

Every row of every study is converted under every plan with segments of about a second, rows with the same rules once,
and executed with the accumulators that the row asks for. Everything runs on one thread, so that the sums in it are the
same every time.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import torch

from htdemucs_coreml.convert.element_types import MOVING
from htdemucs_coreml.convert.operation_names import block_of
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.fidelity.pessimistic import SAMPLES, ShortSignals
from htdemucs_coreml.fidelity.report import HELD_OUT_SEED
from htdemucs_coreml.fidelity.studies import Row, Studies, Study, shipped_studies
from htdemucs_coreml.fidelity.study_page import Figures, Measured, page
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.mil import Program
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.mil.pessimistic import PessimisticInterpreter
from htdemucs_coreml.mil.program import Operation
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.precision.plans import FloatType, PlacedOperation, Plan, Rule
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights

MODEL = "fixture"


def measured_studies(
    studies: Studies,
    checkpoint: Checkpoint,
    samples: int = SAMPLES,
    tell: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Measure every row of every study under every plan.

    Parameters
    ----------
    studies : Studies
        What is measured.
    checkpoint : Checkpoint
        The model's weights.
    samples : int
        Length of a segment.
    tell : Callable
        Told in a line of each package that is converted.

    Returns
    -------
    Mapping of tuple of str to Figures
        By the names of study, row and plan.

    Raises
    ------
    PlanError
        If a pattern or an operation type of a row's rules or accumulators matches nothing.
    """
    names = dict.fromkeys(signal for study in studies.studies for signal in study.signals)
    signals = ShortSignals(checkpoint, tuple(names), HELD_OUT_SEED, samples)
    measured: dict[tuple[str, str, str], Figures] = {}
    for plan in studies.plans:
        for rows in _by_rules(studies.studies).values():
            changed = rows[0][1].applied_to(plan.plan)
            tell(f"measuring {changed.name}")
            with _converted(checkpoint, changed, samples) as program:
                for study, row in rows:
                    key = (study.name, row.name, plan.name)
                    measured[key] = _figures(program, signals, study, row, checkpoint.entry.name)
    return measured


def _by_rules(studies: Sequence[Study]) -> Mapping[tuple[Rule, ...], list[tuple[Study, Row]]]:
    """Rows that need the same packages together."""
    together: dict[tuple[Rule, ...], list[tuple[Study, Row]]] = {}
    for study in studies:
        for row in study.rows:
            together.setdefault(row.float32, []).append((study, row))
    return together


@contextmanager
def _converted(checkpoint: Checkpoint, plan: Plan, samples: int) -> Iterator[Program]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "studied.mlpackage"
        convert_checkpoint(checkpoint, Variant("studied", samples, plan, stem_floor_db=None), path)
        yield read_program(path)


def _figures(program: Program, signals: ShortSignals, study: Study, row: Row, model: str) -> Figures:
    operations = program.main.operations
    row.accumulators.require_match((_placed(one) for one in operations if one.type not in MOVING), model)
    interpreter = PessimisticInterpreter(
        program, lambda operation: row.accumulators.type_of(_placed(operation)) is FloatType.FLOAT16
    )
    return Figures(
        worst_stem_db=tuple(signals.worst_db(interpreter, name) for name in study.signals),
        casts=sum(operation.type == "cast" for operation in operations),
        summing=len(interpreter.summing),
    )


def _placed(operation: Operation) -> PlacedOperation:
    return PlacedOperation(block_of(operation.name), operation.type)


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The page to write or replace.")
def command(output: Path) -> None:
    """Measure the studies of precision plans on the fixture model, and write their page."""
    torch.set_num_threads(1)
    checkpoint = load_weights(find_model(MODEL), None)
    studies = shipped_studies()
    measured = measured_studies(studies, checkpoint, tell=lambda line: click.echo(line, err=True))
    with atomic_file(output) as partial:
        partial.write_text(page(studies, measured, MODEL, SAMPLES, HELD_OUT_SEED), encoding="utf-8")


if __name__ == "__main__":
    command()
