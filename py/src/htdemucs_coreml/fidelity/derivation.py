"""Derives the plan ``mixed``: ``python -m htdemucs_coreml.fidelity.derivation -o mixed.toml``.

1. Every unit of the fixture's core is made float16 alone, on every signal, and its error and largest value measured. A
   transformer layer is one unit: no cast is needed within it. Of an encoder or decoder each part is one, because its
   first convolutions cost most precision and its last ones save most. Segments of about a second are enough for that:
   rounding errors are relative, and their share does not grow with the length of a segment.
   Norms over all elements of a value stay float32 and belong to no unit: with a float16 accumulator, which a device may
   have, the sum of so many squares is infinite and what follows is lost. Two casts each are the cheapest way out.
2. Units are chosen by error for each multiply-add of the 7.8 s program until a share of all multiply-adds is reached.
3. The plan is written with the measurements beside it.

Everything runs on one thread, so that the sums in it, and with them the plan, are the same every time.
"""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch

from htdemucs_coreml.convert.operation_names import block_of
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import find_variant
from htdemucs_coreml.fidelity.probes import PROBES, STRESS, probe
from htdemucs_coreml.fidelity.selection import Candidate, energy, predicted_db, select
from htdemucs_coreml.fidelity.sensitivity import Sensitivity, Unit, measure
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.mil import Program, read_package
from htdemucs_coreml.mil.analysis import operation_multiply_adds
from htdemucs_coreml.mil.emulation import Emulator
from htdemucs_coreml.mil.program import Operation
from htdemucs_coreml.models.registry import find_model, registry
from htdemucs_coreml.weights.source import load_weights

MODEL = "fixture"
SHARE = 0.85
SEED = 1
SCAN_SAMPLES = 44 * 1024
SHORT_VARIANT = "float32-7_8s"
LEAST_HEADROOM = 8.0
_WHOLE = "transformer"


def units_of(program: Program) -> tuple[Unit, ...]:
    """The units of a core's program that have multiply-adds, in the order of execution."""
    operations: dict[str, list[str]] = {}
    products: set[str] = set()
    norms = set(whole_norms_of(program))
    for operation in program.main.operations:
        block = block_of(operation.name)
        if not block or ".".join(block) in norms:
            continue
        name = block[0] if _WHOLE in block[0] else ".".join(block[:2])
        operations.setdefault(name, []).append(operation.name)
        if operation_multiply_adds(operation):
            products.add(name)
    return tuple(Unit(name, frozenset(names)) for name, names in operations.items() if name in products)


def whole_norms_of(program: Program) -> tuple[str, ...]:
    """Blocks that normalise over several axes together, in the order of execution."""
    return tuple(
        ".".join(block_of(operation.name))
        for operation in program.main.operations
        if operation.type == "layer_norm" and _normalised_axes(operation) > 1
    )


def _normalised_axes(operation: Operation) -> int:
    (axes,) = operation.inputs["axes"]
    return math.prod(axes.type.shape)


def multiply_adds_of(program: Program) -> tuple[Mapping[str, int], int]:
    """Multiply-adds of every unit, and of the whole program."""
    counts = {operation.name: operation_multiply_adds(operation) for operation in program.main.operations}
    by_unit = {unit.name: sum(counts[name] for name in unit.operations) for unit in units_of(program)}
    return by_unit, sum(counts.values())


def plan_text(
    chosen: Sequence[Candidate],
    measured: Mapping[str, Mapping[str, Sensitivity]],
    multiply_adds: Mapping[str, int],
    total: int,
    whole_norms: Sequence[str],
) -> str:
    """The plan's file: rules for the chosen units and the norms in them, and what was measured of all."""
    share = sum(candidate.multiply_adds for candidate in chosen) / total
    lines = [
        "# Written by `just derive-mixed`; do not edit.",
        f'summary = "Float16 where it saves most and costs least, {share:.0%} of the multiply-adds; float32 elsewhere"',
        'default = "float32"',
        f"models = {json.dumps(list(registry()))}",
        "",
        "[[rules]]",
        "blocks = [",
        *(f'    "{candidate.name}",' for candidate in chosen),
        "]",
        'type = "float16"',
        "",
        *_norm_lines(chosen, whole_norms),
        "[derivation]",
        f'model = "{MODEL}"',
        f"segment_samples = {SCAN_SAMPLES}",
        f"seed = {SEED}",
        f"signals = [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in PROBES)}]",
        f"share_of_multiply_adds = {share:.4f}",
        f"predicted_worst_stem_db = {predicted_db(chosen):.1f}",
        "",
        "# Of each unit: its share of the multiply-adds; the worst stem, on the worst signal but the click, when it",
        f"# alone is float16; 65504 through its largest value, flagged where that is under {LEAST_HEADROOM:.0f}.",
        "[derivation.units]",
        *_unit_lines(chosen, measured, multiply_adds, total),
    ]
    return "\n".join(lines) + "\n"


def _norm_lines(chosen: Sequence[Candidate], whole_norms: Sequence[str]) -> Iterator[str]:
    inner = sorted(norm for norm in whole_norms if any(norm.startswith(f"{unit.name}.") for unit in chosen))
    if inner:
        yield "# The squares of so many elements overflow a float16 accumulator."
        yield from ("[[rules]]", "blocks = [", *(f'    "{norm}",' for norm in inner), "]", 'type = "float32"', "")


def _unit_lines(
    chosen: Sequence[Candidate],
    measured: Mapping[str, Mapping[str, Sensitivity]],
    multiply_adds: Mapping[str, int],
    total: int,
) -> Iterator[str]:
    names = {candidate.name for candidate in chosen}
    for name, by_signal in measured.items():
        scores = {signal: one.worst_stem_db for signal, one in by_signal.items() if signal != STRESS}
        worst = min(scores, key=lambda signal: (scores[signal], signal))
        headroom = min(one.headroom for one in by_signal.values())
        fields = [
            f'type = "{"float16" if name in names else "float32"}"',
            f"share = {multiply_adds[name] / total:.4f}",
            f'signal = "{worst}"',
            f"worst_stem_db = {scores[worst]:.1f}",
            f"headroom = {headroom:.0f}" + (", flagged = true" if headroom < LEAST_HEADROOM else ""),
        ]
        yield f'"{name}" = {{ {", ".join(fields)} }}'


def derive(folder: Path) -> str:
    """Measure and choose; returns the plan's text.

    Parameters
    ----------
    folder : Path
        Where packages are put meanwhile.
    """
    checkpoint = load_weights(find_model(MODEL), None)
    short = find_variant(SHORT_VARIANT)
    programs = {}
    for name, variant in {"scan": replace(short, segment_samples=SCAN_SAMPLES), "short": short}.items():
        convert_checkpoint(checkpoint, variant, folder / f"{name}.mlpackage")
        programs[name] = read_package(folder / f"{name}.mlpackage")
    multiply_adds, total = multiply_adds_of(programs["short"])
    units = units_of(programs["scan"])
    emulator = Emulator(programs["scan"])
    measured: dict[str, dict[str, Sensitivity]] = {unit.name: {} for unit in units}
    for signal in PROBES:
        click.echo(f"measuring {len(units)} units on {signal}", err=True)
        mix = torch.from_numpy(probe(signal, SCAN_SAMPLES, SEED))
        for name, sensitivity in measure(emulator, units, mix).items():
            measured[name][signal] = sensitivity
    candidates = [
        Candidate(
            name,
            multiply_adds[name],
            {signal: energy(one.worst_stem_db) for signal, one in by_signal.items() if signal != STRESS},
        )
        for name, by_signal in measured.items()
    ]
    chosen = select(candidates, total, SHARE)
    return plan_text(chosen, measured, multiply_adds, total, whole_norms_of(programs["scan"]))


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The plan to write or replace.")
def command(output: Path) -> None:
    """Derive the plan `mixed` from the fixture model."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        text = derive(Path(folder))
    with atomic_file(output) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    command()
