"""Plans: data that give every operation of a core its element type.

A plan is a TOML file::

    summary = "Attention and the last decoders in float16"
    default = "float32"                       # blocks that no rule names

    [[rules]]
    blocks = ["frequency_transformer_*", "time_decoder_3.conv_tr"]
    type = "float16"

    [[rules]]
    blocks = ["frequency_transformer_*"]
    operations = ["layer_norm"]               # left out: all operations of these blocks
    type = "float32"

A block is a module of the core, named by its path: ``frequency_encoder_0.dconv.1``. A pattern names a block and all
within it; ``*`` and ``?`` stand for characters of one path element. The last rule that matches an operation decides.
What stands outside of blocks, standardisation at both ends, is float32 whatever a plan says, and so are the core's
inputs and outputs.

A rule with a pattern or an operation type that matches nothing is an error: names that changed would break it
silently. ``models = ["htdemucs_6s"]`` names the models whose blocks a plan speaks of; for others, what matches nothing
is skipped. ``[derivation]`` records how a plan came about; nothing reads it.
"""

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.plan_files import PLAN_SUFFIX, covers, read_plan_file, require_keys, text_of, texts_of

_KEYS = frozenset({"summary", "default", "models", "rules", "derivation"})
_RULE_KEYS = frozenset({"blocks", "operations", "type"})


class PlanError(HTDemucsCoreMLError):
    """A precision plan is missing, malformed, or does not fit the core."""


class FloatType(Enum):
    """Element types between which a plan chooses, by their names in a plan."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


@dataclass(frozen=True)
class PlacedOperation:
    """What a plan sees of an operation.

    Attributes
    ----------
    block : tuple of str
        Path of the module that it belongs to, outermost first; empty outside of all blocks.
    type : str
        Operation type, such as ``conv``.
    """

    block: tuple[str, ...]
    type: str


@dataclass(frozen=True)
class Rule:
    """Gives the operations of some blocks a type.

    Attributes
    ----------
    blocks : tuple of str
        Patterns, path elements separated by dots.
    operations : tuple of str
        Operation types; empty for all.
    type : FloatType
        What these operations compute in.
    """

    blocks: tuple[str, ...]
    operations: tuple[str, ...]
    type: FloatType

    def matches(self, operation: PlacedOperation) -> bool:
        """Whether the rule speaks of an operation."""
        return (not self.operations or operation.type in self.operations) and any(
            covers(pattern, operation.block) for pattern in self.blocks
        )


@dataclass(frozen=True)
class Plan:
    """A type for every operation of a core.

    Attributes
    ----------
    name : str
        The file's name without its suffix.
    summary : str
        What it is for, in one sentence.
    default : FloatType
        Type of operations that no rule matches.
    rules : tuple of Rule
        The last one that matches decides.
    models : tuple of str or None
        Models whose blocks the rules name; ``None`` for all.
    """

    name: str
    summary: str
    default: FloatType
    rules: tuple[Rule, ...]
    models: tuple[str, ...] | None

    @property
    def is_float32(self) -> bool:
        """Whether nothing is float16."""
        return self.default is FloatType.FLOAT32 and all(rule.type is FloatType.FLOAT32 for rule in self.rules)

    def type_of(self, operation: PlacedOperation) -> FloatType:
        """What an operation computes in."""
        if not operation.block:
            return FloatType.FLOAT32
        return next((rule.type for rule in reversed(self.rules) if rule.matches(operation)), self.default)

    def require_match(self, operations: Iterable[PlacedOperation], model: str | None) -> None:
        """Check that every pattern and every operation type of the rules stands for something.

        Parameters
        ----------
        operations : iterable of PlacedOperation
            All operations of the core.
        model : str or None
            Name of its model, if it has one.

        Raises
        ------
        PlanError
            If one matches nothing, and `model` is one of those that the plan is for.
        """
        if self.models is not None and model is not None and model not in self.models:
            return
        placed = set(operations)
        for number, rule in enumerate(self.rules, start=1):
            for unmatched in _unmatched(rule, placed):
                blocks = sorted({operation.block[0] for operation in placed if operation.block})
                raise PlanError(
                    f"rule {number} of plan {self.name} names {unmatched}, which this core does not have; its blocks "
                    f"are {', '.join(blocks)} and what is in them (name the plan's models in `models`)"
                )


@functools.cache
def shipped_plans() -> Mapping[str, Plan]:
    """Plans that come with the package, by name."""
    files = sorted(resources.files(__package__).joinpath("plans").iterdir(), key=lambda file: file.name)
    plans = [parse_plan(file.name.removesuffix(PLAN_SUFFIX), file.read_text(encoding="utf-8")) for file in files]
    return MappingProxyType({plan.name: plan for plan in plans})


def read_plan(path: Path) -> Plan:
    """Read a plan of one's own.

    Raises
    ------
    PlanError
        If the file cannot be read, is malformed, or has the name of a plan that comes with the package.
    """
    name, text = read_plan_file(path, "precision plan", PlanError)
    plan = parse_plan(name, text)
    shipped = shipped_plans().get(name)
    if shipped is not None and plan != shipped:
        raise PlanError(f"{path} has the name of another plan, which comes with the package; rename the file")
    return plan


def parse_plan(name: str, text: str) -> Plan:
    """Make a plan of the text of its file.

    Raises
    ------
    PlanError
        If the text is malformed.
    """
    try:
        return _plan(name, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise PlanError(f"plan {name} is malformed: {error}") from error


def _plan(name: str, table: Mapping[str, Any]) -> Plan:
    require_keys(table, _KEYS, "the plan")
    models = table.get("models")
    rules = table.get("rules", [])
    if not isinstance(rules, list):
        raise ValueError("rules is not a list of tables")
    return Plan(
        name=name,
        summary=text_of(table, "summary"),
        default=_float_type(table, "default"),
        rules=tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1)),
        models=None if models is None else texts_of(models, "models"),
    )


def _rule(number: int, table: object) -> Rule:
    if not isinstance(table, dict):
        raise ValueError(f"rule {number} is not a table")
    require_keys(table, _RULE_KEYS, f"rule {number}")
    operations = table.get("operations")
    return Rule(
        blocks=texts_of(table.get("blocks"), f"blocks of rule {number}"),
        operations=() if operations is None else texts_of(operations, f"operations of rule {number}"),
        type=_float_type(table, "type"),
    )


def _float_type(table: Mapping[str, Any], key: str) -> FloatType:
    value = text_of(table, key)
    try:
        return FloatType(value)
    except ValueError:
        known = " or ".join(member.value for member in FloatType)
        raise ValueError(f"{key} is {value!r}; it has to be {known}") from None


def _unmatched(rule: Rule, placed: set[PlacedOperation]) -> Iterator[str]:
    for pattern in rule.blocks:
        if not any(covers(pattern, operation.block) for operation in placed):
            yield f"the block {pattern}"
    for kind in rule.operations:
        if not any(operation.type == kind and rule.matches(operation) for operation in placed):
            yield f"the operation type {kind}"


FLOAT32_PLAN = shipped_plans()["float32"]
