"""Studies of precision plans, as data: ``studies.toml`` beside this file, which says what they mean."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.probes import PROBES
from htdemucs_coreml.plan_files import require_keys, text_of, texts_of
from htdemucs_coreml.precision.plans import FloatType, Plan, Rule, shipped_plans

_PLAN_KEYS = frozenset({"title", "plan", "without"})
_STUDY_KEYS = frozenset({"signals", "rows"})
_ROW_KEYS = frozenset({"name", "accumulators", "float32"})
_CHOICE_KEYS = frozenset({"blocks", "operations"})
_ALL_BLOCKS = ("*",)


@dataclass(frozen=True)
class StudiedPlan:
    """A plan that is studied.

    Attributes
    ----------
    name : str
        Its key.
    title : str
        What the page calls it.
    plan : Plan
        The shipped plan, perhaps without some of its rules.
    """

    name: str
    title: str
    plan: Plan


@dataclass(frozen=True)
class Row:
    """What is measured on every plan.

    Attributes
    ----------
    name : str
        What the page calls it; unique in its study.
    float32 : tuple of Rule
        Added to the plan.
    accumulators : Plan
        Types of the accumulators of float16 operations.
    """

    name: str
    float32: tuple[Rule, ...]
    accumulators: Plan

    def applied_to(self, plan: Plan) -> Plan:
        """A plan with the row's rules after its own, named after both."""
        return replace(plan, name=f"{plan.name} with {self.name} in float32", rules=(*plan.rules, *self.float32))


@dataclass(frozen=True)
class Study:
    """A table of the page.

    Attributes
    ----------
    name : str
        Its key.
    signals : tuple of str
        Names of `htdemucs_coreml.fidelity.probes`.
    rows : tuple of Row
        In the order of the table.
    """

    name: str
    signals: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Studies:
    """All that is studied.

    Attributes
    ----------
    plans : tuple of StudiedPlan
        Columns of every table.
    studies : tuple of Study
        The tables.
    """

    plans: tuple[StudiedPlan, ...]
    studies: tuple[Study, ...]


def shipped_studies() -> Studies:
    """The studies that come with the package."""
    return parse_studies(resources.files(__package__).joinpath("studies.toml").read_text(encoding="utf-8"))


def parse_studies(text: str) -> Studies:
    """Make studies of the text of their file.

    Raises
    ------
    FidelityError
        If it is malformed, names a plan or a signal that there is not, or leaves out rules that a plan does not have.
    """
    try:
        table = tomllib.loads(text)
        return Studies(
            plans=tuple(_plan(name, fields) for name, fields in table["plans"].items()),
            studies=tuple(_study(name, fields) for name, fields in table["studies"].items()),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FidelityError(f"the studies are malformed: {error}") from error


def _plan(name: str, table: Mapping[str, Any]) -> StudiedPlan:
    require_keys(table, _PLAN_KEYS, f"plan {name}")
    plan = shipped_plans().get(text_of(table, "plan"))
    if plan is None:
        raise ValueError(f"plan {name} is of {table['plan']!r}; there are {', '.join(shipped_plans())}")
    if "without" in table:
        left_out = FloatType(table["without"])
        rules = tuple(rule for rule in plan.rules if rule.type is not left_out)
        if rules == plan.rules:
            raise ValueError(f"plan {name} leaves out rules of {left_out.value}, and {plan.name} has none")
        plan = replace(plan, rules=rules)
    return StudiedPlan(name, text_of(table, "title"), plan)


def _study(name: str, table: Mapping[str, Any]) -> Study:
    require_keys(table, _STUDY_KEYS, f"study {name}")
    signals = texts_of(table["signals"], f"signals of study {name}")
    for signal in signals:
        if signal not in PROBES:
            raise ValueError(f"study {name} has the signal {signal!r}; there are {', '.join(PROBES)}")
    rows = tuple(_row(fields) for fields in table["rows"])
    if len({row.name for row in rows}) != len(rows):
        raise ValueError(f"study {name} has two rows of one name")
    return Study(name, signals, rows)


def _row(table: Mapping[str, Any]) -> Row:
    name = text_of(table, "name")
    require_keys(table, _ROW_KEYS, f"row {name!r}")
    accumulators = Plan(
        name=f"float16 accumulators in {name}",
        summary=name,
        default=FloatType.FLOAT32,
        rules=_rules(table.get("accumulators", []), FloatType.FLOAT16, name),
        models=None,
    )
    return Row(name, _rules(table.get("float32", []), FloatType.FLOAT32, name), accumulators)


def _rules(choices: list[Mapping[str, Any]], float_type: FloatType, row: str) -> tuple[Rule, ...]:
    return tuple(_rule(choice, float_type, row) for choice in choices)


def _rule(choice: Mapping[str, Any], float_type: FloatType, row: str) -> Rule:
    require_keys(choice, _CHOICE_KEYS, f"row {row!r}")
    blocks, operations = choice.get("blocks"), choice.get("operations")
    return Rule(
        blocks=_ALL_BLOCKS if blocks is None else texts_of(blocks, f"blocks of row {row!r}"),
        operations=() if operations is None else texts_of(operations, f"operations of row {row!r}"),
        type=float_type,
    )
