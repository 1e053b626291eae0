"""Derives a compression plan for a number of bytes: ``python -m htdemucs_coreml.fidelity.budget --budget 20MB -o X``.

1. Every weight is brought into each form, calibrated as a package's are.
2. What that alone adds to the stems is measured on segments of a quarter of a second, by `weight_sensitivity`.
3. Forms are chosen by error for each byte until the package of 10 s segments, which has the larger constants, fills the
   budget.
4. The plan is converted: a package that is larger than it may be is an error. The file has the measurements beside it.

Everything runs on one thread, so that the sums in it, and with them the plan, are the same every time.
"""

import json
import math
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from htdemucs_coreml.compress.forms import PaletteForm, compressed
from htdemucs_coreml.compress.plans import (
    MINIMUM_ELEMENTS,
    CompressionPlan,
    CompressionPlanError,
    parse_compression_plan,
)
from htdemucs_coreml.convert.calibration import block_path, weight_layout, weighted_modules
from htdemucs_coreml.convert.packaging import Moments, convert_checkpoint, moments_for
from htdemucs_coreml.convert.variants import find_variant
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.core.rewrites import rewritten
from htdemucs_coreml.fidelity.allocation import BudgetError, Option, allocate, total_bytes, total_noise
from htdemucs_coreml.fidelity.probes import probe
from htdemucs_coreml.fidelity.weight_sensitivity import noise_of
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import find_model, registry
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.plan_files import plan_name
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights

MODEL = "fixture"
SEED = 1
SCAN_SAMPLES = 11 * 1024
SIGNALS = ("music", "one_channel")
FORMS = {str(PaletteForm(bits)): bits for bits in (3, 4, 6, 8)}
BASE_VARIANT = "mixed"
"""Precision plan and the longer segment: what the budget is for."""
_UNITS = {"MB": 10**6, "kB": 10**3, "B": 1}
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(MB|kB|B)")
# Blobs begin at multiples of 64, and messages have numbers of varying length.
_SLACK_PER_WEIGHT = 64


@dataclass(frozen=True)
class Measurement:
    """What was measured of a model.

    Attributes
    ----------
    weights : Mapping of str to Mapping of str to Option
        What each form of each block's weight costs.
    fixed_bytes : int
        What a package of 10 s segments takes beside its weights.
    moments : Moments
        What conversion takes.
    """

    weights: Mapping[str, Mapping[str, Option]]
    fixed_bytes: int
    moments: Moments


@dataclass(frozen=True)
class Derivation:
    """A plan and what it came from.

    Attributes
    ----------
    name : str
        The plan's name.
    budget : int
        Bytes that a package may have.
    measured : Measurement
        What each choice costs.
    forms : Mapping of str to str
        What was chosen, by the block.
    """

    name: str
    budget: int
    measured: Measurement
    forms: Mapping[str, str]

    def text(self) -> str:
        """The plan's file."""
        stored = total_bytes(self.measured.weights, self.forms)
        lines = [
            "# Written by `just derive-budget20`; do not edit." if self.name == "budget20" else "# A derived plan.",
            f'summary = "Calibrated palettes, bits chosen by sensitivity for packages of {self.budget / 1e6:g} MB"',
            'default = "palette8"',
            "calibrated = true",
            f"models = {json.dumps(list(registry()))}",
        ]
        for form in FORMS:
            blocks = [name for name, chosen in self.forms.items() if chosen == form]
            if blocks:
                lines += [
                    "",
                    "[[rules]]",
                    "blocks = [",
                    *(f'    "{name}",' for name in blocks),
                    "]",
                    f'form = "{form}"',
                ]
        lines += [
            "",
            "[derivation]",
            f'model = "{MODEL}"',
            f"budget = {self.budget}",
            f"bytes_of_weights = {stored}",
            f"segment_samples = {SCAN_SAMPLES}",
            f"seed = {SEED}",
            f"signals = {json.dumps(list(SIGNALS))}",
            f"predicted_stem_db = {_snr_db(total_noise(self.measured.weights, self.forms)):.1f}",
            "",
            "# Of each weight: its form, its bytes, and the SNR of stems in dB, over all signals, when it alone has a",
            "# form.",
            "[derivation.weights]",
        ]
        for name, options in self.measured.weights.items():
            scores = ", ".join(f"{form} = {_snr_db(options[form].noise):.1f}" for form in FORMS)
            chosen = self.forms[name]
            lines.append(f'"{name}" = {{ form = "{chosen}", bytes = {options[chosen].bytes}, {scores} }}')
        return "\n".join(lines) + "\n"


def parse_size(text: str) -> int:
    """A number of bytes: ``20MB``, of a million bytes each.

    Raises
    ------
    click.BadParameter
        If it is none.
    """
    matched = _SIZE.fullmatch(text)
    if not matched:
        raise click.BadParameter(f"{text} is no size; write 20MB, 19.5MB, 800kB")
    return round(float(matched[1]) * _UNITS[matched[2]])


def measure(checkpoint: Checkpoint, folder: Path) -> Measurement:
    """Measure every weight in every form.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    folder : Path
        Where a package is put meanwhile.
    """
    smallest = next(iter(FORMS))
    moments = moments_for(checkpoint, _uniform(smallest, calibrated=True)) or {}
    core = rewritten(extract_inner_model(build_network(checkpoint.entry, checkpoint.tensors), SCAN_SAMPLES))
    modules = {
        name: module
        for name, module in weighted_modules(core).items()
        if module.get_parameter("weight").numel() >= MINIMUM_ELEMENTS
    }
    click.echo(f"bringing {len(modules)} weights into {len(FORMS)} forms", err=True)
    errors = {name: _errors(module, moments[block_path(core, name)]) for name, module in modules.items()}
    noise = {name: dict.fromkeys(FORMS, 0.0) for name in modules}
    for signal in SIGNALS:
        click.echo(f"measuring on {signal}", err=True)
        mix = torch.from_numpy(probe(signal, SCAN_SAMPLES, SEED))
        for name, by_form in noise_of(core, errors, mix, SEED).items():
            for form, energy in by_form.items():
                noise[name][form] += energy / len(SIGNALS)
    weights = {
        ".".join(block_path(core, name)): {
            form: Option(_stored_bytes(form, modules[name].get_parameter("weight").numel()), by_form[form])
            for form in FORMS
        }
        for name, by_form in noise.items()
    }
    fixed = _fixed_bytes(checkpoint, _uniform(smallest, calibrated=False), weights, folder)
    return Measurement(weights, fixed, moments)


def choose(name: str, budget: int, measured: Measurement) -> Derivation:
    """Choose a form for every weight.

    Parameters
    ----------
    name : str
        Of the plan.
    budget : int
        Bytes that a package may have.
    measured : Measurement
        What each choice costs.

    Raises
    ------
    BudgetError
        If nothing is small enough; the message says how small a package can be.
    """
    smallest = sum(min(option.bytes for option in options.values()) for options in measured.weights.values())
    least = measured.fixed_bytes + smallest
    if least > budget:
        # Rounded up, so that what the message says is enough.
        raise BudgetError(
            f"a package takes {math.ceil(least / 1e4) / 100:.2f} MB at least; {budget / 1e6:g} are too few"
        )
    forms = allocate(measured.weights, budget - measured.fixed_bytes)
    return Derivation(name, budget, measured, forms)


def check(checkpoint: Checkpoint, derivation: Derivation, folder: Path) -> int:
    """Convert with a plan and give the package's bytes.

    Raises
    ------
    BudgetError
        If they are more than the budget.
    """
    plan = parse_compression_plan(derivation.name, derivation.text())
    path = folder / f"{derivation.name}.mlpackage"
    convert_checkpoint(checkpoint, find_variant(BASE_VARIANT).with_compression(plan), path, derivation.measured.moments)
    found: int = read_package(path).bytes
    if found > derivation.budget:
        raise BudgetError(f"the derived package has {found} bytes; the budget was {derivation.budget}")
    return found


def _snr_db(noise: float) -> float:
    """What an energy relative to the stems' is in dB; infinite where a form keeps every weight, which TOML knows."""
    return -10 * math.log10(noise) if noise else math.inf


def _uniform(form: str, *, calibrated: bool) -> CompressionPlan:
    text = f'summary = ""\ndefault = "{form}"\ncalibrated = {str(calibrated).lower()}'
    return parse_compression_plan(form, text)


def _errors(module: nn.Module, moments: NDArray[np.float64]) -> dict[str, Tensor]:
    """What each form adds to a module's weight."""
    weight = module.get_parameter("weight").detach()
    dense = {
        form: compressed(weight.numpy(), PaletteForm(bits), weight_layout(module), moments).dense()
        for form, bits in FORMS.items()
    }
    return {form: torch.from_numpy(values) - weight for form, values in dense.items()}


def _stored_bytes(form: str, elements: int) -> int:
    """At most what is stored of a weight: its indices, a palette of float32, and what lies between."""
    bits = FORMS[form]
    return -(-elements * bits // 8) + (4 << bits) + _SLACK_PER_WEIGHT


def _fixed_bytes(
    checkpoint: Checkpoint, plan: CompressionPlan, weights: Mapping[str, Mapping[str, Option]], folder: Path
) -> int:
    """What a package takes beside its weights."""
    path = folder / "whole.mlpackage"
    convert_checkpoint(checkpoint, find_variant(BASE_VARIANT).with_compression(plan), path)
    stored = sum(options[plan.name].bytes - _SLACK_PER_WEIGHT for options in weights.values())
    whole: int = read_package(path).bytes
    return whole - stored


@click.command()
@click.option("--budget", required=True, help="Bytes that the whole package may have: 20MB, 19.5MB.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The plan to write or replace.")
def command(budget: str, output: Path) -> None:
    """Derive a compression plan from the fixture model, for `convert --compression-file`."""
    size = parse_size(budget)
    name = plan_name(output, CompressionPlanError)
    torch.set_num_threads(1)
    checkpoint = load_weights(find_model(MODEL), None)
    with tempfile.TemporaryDirectory() as folder:
        derivation = choose(name, size, measure(checkpoint, Path(folder)))
        found = check(checkpoint, derivation, Path(folder))
    with atomic_file(output) as partial:
        partial.write_text(derivation.text(), encoding="utf-8")
    click.echo(f"{output}  packages of at most {found / 1e6:.2f} MB")


if __name__ == "__main__":
    command()
