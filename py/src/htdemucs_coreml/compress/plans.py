"""Compression plans: data that give every weight of a core its form.

A plan is a TOML file::

    summary = "Palettes of 6 bits, of 4 in the transformer's feed-forward layers"
    default = "palette6"                      # weights that no rule names
    calibrated = true                         # left out: false

    [[rules]]
    blocks = ["frequency_transformer_*.linear1", "frequency_transformer_*.linear2"]
    form = "palette4"                         # or int8-channel, int8-block; none leaves a weight as it is

Weights are the constants that convolutions and linear layers multiply with, of at least `MINIMUM_ELEMENTS` elements;
biases, norms, embeddings and smaller weights are never compressed. Blocks and patterns are those of precision plans: a
pattern names a block and all within it, and the last rule that matches decides.

Palettes of a calibrated plan keep the results of layers near to what they were, on signals of the project's own; those
of others keep the weights.

A pattern that matches no weight is an error; ``models = ["htdemucs_6s"]`` names the models whose blocks a plan speaks
of, and for others what matches nothing is skipped. ``[derivation]`` records how a plan came about; nothing reads it.
"""

import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from htdemucs_coreml.compress.errors import CompressionError
from htdemucs_coreml.compress.forms import Form, form_of
from htdemucs_coreml.plan_files import PLAN_SUFFIX, covers, read_plan_file, require_keys, text_of, texts_of

MINIMUM_ELEMENTS = 2048
"""Smaller weights stay as they are: together they are less than 1 % of a core."""
_KEYS = frozenset({"summary", "default", "calibrated", "models", "rules", "derivation"})
_RULE_KEYS = frozenset({"blocks", "form"})

Block = tuple[str, ...]


class CompressionPlanError(CompressionError):
    """A compression plan is missing, malformed, or does not fit the core."""


@dataclass(frozen=True)
class FormRule:
    """Gives the weights of some blocks a form.

    Attributes
    ----------
    blocks : tuple of str
        Patterns, path elements separated by dots.
    form : Form or None
        How these weights are stored; None leaves them as they are.
    """

    blocks: tuple[str, ...]
    form: Form | None


@dataclass(frozen=True)
class CompressionPlan:
    """A form for every weight of a core.

    Attributes
    ----------
    name : str
        The file's name without its suffix.
    summary : str
        What it is for, in one sentence.
    default : Form or None
        Form of weights that no rule matches.
    calibrated : bool
        Whether palettes are made for the results of layers rather than for weights.
    rules : tuple of FormRule
        The last one that matches decides.
    models : tuple of str or None
        Models whose blocks the rules name; ``None`` for all.
    """

    name: str
    summary: str
    default: Form | None
    calibrated: bool
    rules: tuple[FormRule, ...]
    models: tuple[str, ...] | None

    def form_for(self, block: Block) -> Form | None:
        """How the weight of a block is stored."""
        for rule in reversed(self.rules):
            if any(covers(pattern, block) for pattern in rule.blocks):
                return rule.form
        return self.default

    def require_match(self, blocks: Iterable[Block], model: str | None) -> None:
        """Check that every pattern stands for a weight.

        Parameters
        ----------
        blocks : iterable of tuple of str
            Blocks of all weights of the core.
        model : str or None
            Name of its model, if it has one.

        Raises
        ------
        CompressionPlanError
            If one matches nothing, and `model` is one of those that the plan is for.
        """
        if self.models is not None and model is not None and model not in self.models:
            return
        having = sorted(set(blocks))
        for number, rule in enumerate(self.rules, start=1):
            for pattern in rule.blocks:
                if not any(covers(pattern, block) for block in having):
                    names = ", ".join(sorted({block[0] for block in having}))
                    raise CompressionPlanError(
                        f"rule {number} of plan {self.name} names {pattern}, where this core has no weight of "
                        f"{MINIMUM_ELEMENTS} elements; there are some in {names} (name the plan's models in `models`)"
                    )


@functools.cache
def shipped_compression_plans() -> Mapping[str, CompressionPlan]:
    """Plans that come with the package, by name."""
    files = sorted(resources.files(__package__).joinpath("plans").iterdir(), key=lambda file: file.name)
    plans = [
        parse_compression_plan(file.name.removesuffix(PLAN_SUFFIX), file.read_text(encoding="utf-8")) for file in files
    ]
    return MappingProxyType({plan.name: plan for plan in plans})


def read_compression_plan(path: Path) -> CompressionPlan:
    """Read a plan of one's own.

    Raises
    ------
    CompressionPlanError
        If the file cannot be read, is malformed, or has the name of a plan that comes with the package.
    """
    name, text = read_plan_file(path, "compression plan", CompressionPlanError)
    plan = parse_compression_plan(name, text)
    shipped = shipped_compression_plans().get(name)
    if shipped is not None and plan != shipped:
        raise CompressionPlanError(
            f"{path} has the name of another plan, which comes with the package; rename the file"
        )
    return plan


def parse_compression_plan(name: str, text: str) -> CompressionPlan:
    """Make a plan of the text of its file.

    Raises
    ------
    CompressionPlanError
        If the text is malformed.
    """
    try:
        return _plan(name, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise CompressionPlanError(f"plan {name} is malformed: {error}") from error


def _plan(name: str, table: Mapping[str, Any]) -> CompressionPlan:
    require_keys(table, _KEYS, "the plan")
    models = table.get("models")
    rules = table.get("rules", [])
    if not isinstance(rules, list):
        raise ValueError("rules is not a list of tables")
    calibrated = table.get("calibrated", False)
    if not isinstance(calibrated, bool):
        raise ValueError("calibrated is neither true nor false")
    return CompressionPlan(
        name=name,
        summary=text_of(table, "summary"),
        default=form_of(text_of(table, "default")),
        calibrated=calibrated,
        rules=tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1)),
        models=None if models is None else texts_of(models, "models"),
    )


def _rule(number: int, table: object) -> FormRule:
    if not isinstance(table, dict):
        raise ValueError(f"rule {number} is not a table")
    require_keys(table, _RULE_KEYS, f"rule {number}")
    return FormRule(
        blocks=texts_of(table.get("blocks"), f"blocks of rule {number}"), form=form_of(text_of(table, "form"))
    )
