"""``docs/precision-studies.md``, made of the studies and of what was measured, and of nothing else.

Statements are computed from figures as the tables show them, to 0.1 dB.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from htdemucs_coreml.fidelity.page import ATTENTION_MATTERS_DB
from htdemucs_coreml.fidelity.sensitivity import FLOAT16_MAXIMUM
from htdemucs_coreml.fidelity.studies import Row, StudiedPlan, Studies, Study

ACCUMULATORS, REMEDIES, OPERATIONS = "accumulators", "remedies", "operations"
NO_FLOAT16 = "float32 in this plan"

_FLOAT16, _MIXED = "float16", "mixed"
_NOTHING, _EVERYTHING, _CONVOLUTIONS = "nothing", "everything", "convolutions"
_BRANCHES = "norms in residual branches"
_LAST_NORMS = "last norms of the transformer's layers, over whole values"
_REMEDY = "last norms of the transformer's layers"
_ALL_NORMS, _AND_ATTENTION = "all norms", "all norms, and attention"
_ATTENTION, _TRANSFORMER = "attention", "the transformer"
_AFFINE_NORMS = "last norms of the transformer's layers, with their affine maps"
_AND_RESIDUAL_SUMS = "these, and the layers' residual sums"

_PAGE = """# Precision studies

Written by `just study-precision` from `py/src/htdemucs_coreml/fidelity/studies.toml`; do not edit.

What was tried before the plan `mixed` became what it is, with figures: the worst stem in dB from float32 PyTorch, of
the weights of `{model}`, on signals of {samples:,} samples and of seed {seed}, which the derivation of `mixed` did not
see. *Norms in float16*: the plan without its rules for norms. [fidelity.md](fidelity.md) is about the packages as they
are.

## A machine with float16 accumulators

`htdemucs_coreml.mil.pessimistic` gives float16 operations float16 accumulators (`mil/float16_sums.py` says exactly
how). Figures are for {accumulator_signals}, in this order; `quiet` is music of -60 dBFS.

{accumulators}

A sum of squares above {maximum:,.0f} is infinite, and the norm's result zero. In `float16`, norms in residual branches
alone leave {branches}; in `mixed`, the last norms of the transformer's layers alone leave {last_norms}, everything
together {everything}, and convolutions alone {convolutions}. Remedies, with float16 accumulators in everything that is
float16:

{remedies}

Norms over whole values in float32 bring `mixed` to {remedy} for {remedy_casts} more casts, all norms to {all_norms}. So
norms over whole values are float32 in `mixed`, and nothing else is rewritten. Norms by means of means, the query
divided by the root of its width before the product, and the softmax's division after the product with the values were
tried, too, and brought nothing that norms in float32 do not bring.

## Types of operations under plain rounding

For {operation_signals}, in this order: the plan, and the plan with some operations in float32 besides.

{operations}

- *Attention in float16 or float32?* {attention_answer}: float32 moves no figure by more than {attention} dB under plain
  rounding, and by more than {pessimistic_attention} dB with float16 accumulators and all norms in float32.
- Residual sums in float32, besides the last norms, gain {residual_sums} dB in `mixed`, for {residual_casts} more casts;
  they stay float16.
- Scaling residuals by powers of two changes no float16 result while nothing overflows or is subnormal. The plan records
  how far each unit is from overflow, [fidelity.md](fidelity.md) how far each variant.
- What `mixed` loses it loses most of in {most}: in float32 they gain {most_gain} dB, the transformer
  {transformer_gain} dB.
"""


@dataclass(frozen=True)
class Figures:
    """What was measured of a row under a plan.

    Attributes
    ----------
    worst_stem_db : tuple of float
        Score of the worst stem, by the study's signals.
    casts : int
        Number of casts in the package.
    summing : int
        How many of its operations have float16 accumulators.
    """

    worst_stem_db: tuple[float, ...]
    casts: int
    summing: int


Measured = Mapping[tuple[str, str, str], Figures]
"""Figures by the names of study, row and plan."""


def page(studies: Studies, measured: Measured, model: str, samples: int, seed: int) -> str:
    """The page as Markdown; a pure function of the studies and of what was measured.

    Parameters
    ----------
    studies : Studies
        Among them those that the page speaks of.
    measured : Mapping of tuple of str to Figures
        Of every study, row and plan.
    model : str
        Whose weights were measured.
    samples : int
        Length of a segment.
    seed : int
        Of the signals.

    Raises
    ------
    KeyError
        If a study, a plan or a row that the page speaks of is missing, or was not measured.
    """
    by_name = {study.name: study for study in studies.studies}

    def of_mixed(study: str, row: str) -> Figures:
        return measured[study, row, _MIXED]

    def gain(study: str, row: str, before: str, plan: str = _MIXED) -> list[float]:
        return _differences(measured[study, row, plan], measured[study, before, plan])

    moved = max(abs(one) for plan in studies.plans for one in gain(OPERATIONS, _ATTENTION, _NOTHING, plan.name))
    pessimistic = max(
        abs(one) for plan in studies.plans for one in gain(REMEDIES, _AND_ATTENTION, _ALL_NORMS, plan.name)
    )
    gains = {row.name: gain(OPERATIONS, row.name, _NOTHING) for row in by_name[OPERATIONS].rows}
    most = max(gains, key=lambda row: min(gains[row]))
    return _PAGE.format(
        model=model,
        seed=seed,
        samples=samples,
        maximum=FLOAT16_MAXIMUM,
        accumulator_signals=_listed(by_name[ACCUMULATORS].signals),
        operation_signals=_listed(by_name[OPERATIONS].signals),
        accumulators=_table(studies.plans, by_name[ACCUMULATORS], measured, "float16 accumulators in"),
        remedies=_table(studies.plans, by_name[REMEDIES], measured, "in float32"),
        operations=_table(studies.plans, by_name[OPERATIONS], measured, "in float32 besides"),
        branches=_range(measured[ACCUMULATORS, _BRANCHES, _FLOAT16].worst_stem_db),
        last_norms=_range(of_mixed(ACCUMULATORS, _LAST_NORMS).worst_stem_db),
        everything=_range(of_mixed(ACCUMULATORS, _EVERYTHING).worst_stem_db),
        convolutions=_range(of_mixed(ACCUMULATORS, _CONVOLUTIONS).worst_stem_db),
        remedy=_range(of_mixed(REMEDIES, _REMEDY).worst_stem_db),
        remedy_casts=of_mixed(REMEDIES, _REMEDY).casts - of_mixed(REMEDIES, _NOTHING).casts,
        all_norms=_range(of_mixed(REMEDIES, _ALL_NORMS).worst_stem_db),
        attention_answer="It matters" if max(moved, pessimistic) >= ATTENTION_MATTERS_DB else "It hardly matters",
        attention=f"{moved:.1f}",
        pessimistic_attention=f"{pessimistic:.1f}",
        residual_sums=_range(gain(OPERATIONS, _AND_RESIDUAL_SUMS, _AFFINE_NORMS), unit=""),
        residual_casts=of_mixed(OPERATIONS, _AND_RESIDUAL_SUMS).casts - of_mixed(OPERATIONS, _AFFINE_NORMS).casts,
        most=most,
        most_gain=_range(gains[most], unit=""),
        transformer_gain=_range(gains[_TRANSFORMER], unit=""),
    )


def _table(plans: Sequence[StudiedPlan], study: Study, measured: Measured, heading: str) -> str:
    """A row for each of the study's; casts stand in it where they differ between rows."""
    with_casts = any(row.float32 for row in study.rows)
    header = [heading]
    for plan in plans:
        header += [plan.title, "casts"] if with_casts else [plan.title]
    lines = [header, ["---"] * len(header)]
    for row in study.rows:
        cells = [row.name]
        for plan in plans:
            figures = measured[study.name, row.name, plan.name]
            cells += [_cell(row, figures), str(figures.casts)] if with_casts else [_cell(row, figures)]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(row: Row, figures: Figures) -> str:
    if row.accumulators.rules and not figures.summing:
        return NO_FLOAT16
    return ", ".join(f"{one:.1f}" for one in figures.worst_stem_db)


def _differences(after: Figures, before: Figures) -> list[float]:
    """By signal, of figures as the tables show them; 0 where both are the same infinity."""
    pairs = zip(_shown(after.worst_stem_db), _shown(before.worst_stem_db), strict=True)
    return [0.0 if one == other else one - other for one, other in pairs]


def _shown(figures: Sequence[float]) -> list[float]:
    return [float(f"{one:.1f}") for one in figures]


def _range(figures: Sequence[float], unit: str = " dB") -> str:
    least, most = f"{min(figures):.1f}", f"{max(figures):.1f}"
    return f"{least}{unit}" if least == most else f"{least} to {most}{unit}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
