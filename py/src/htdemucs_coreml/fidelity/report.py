"""Measures packages and keeps the data and the page: ``python -m htdemucs_coreml.fidelity.report check|update``.

A package is measured once: figures of the same digest, under the same conditions, are kept. `update` writes the data
after each package, so that it goes on where it was interrupted. `check` measures all anew, writes nothing, and fails
where the figures are others than the data's. Both fail where a variant does not reach its bar.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import click

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import Variant, find_variant, variants
from htdemucs_coreml.fidelity.agreement import disagreements
from htdemucs_coreml.fidelity.attention import ATTENTION_VARIANTS, with_float32_attention
from htdemucs_coreml.fidelity.bars import shipped_bars, verdicts
from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.measurement import VERSION, measured
from htdemucs_coreml.fidelity.page import page
from htdemucs_coreml.fidelity.pessimistic import PessimisticScores
from htdemucs_coreml.fidelity.probes import PROBES, STRESS
from htdemucs_coreml.fidelity.references import Reference, references
from htdemucs_coreml.fidelity.results import Conditions, PackageFigures, Results, read_results, rounded, write_results
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.mil import Program
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.plan_files import SHORT_SUFFIX
from htdemucs_coreml.precision.plans import FLOAT32_PLAN
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights

HELD_OUT_SEED = 2
FLOAT32_VARIANT = FLOAT32_PLAN.name + SHORT_SUFFIX


class Measurements:
    """Measures packages of one model and segment; what they share is computed when it is needed first.

    Parameters
    ----------
    packages : sequence of Package
        All that are measured; the float32 package is one of them.
    checkpoint : Checkpoint
        The model's weights.
    folder : Path
        Where packages are put that are made meanwhile.
    tell : Callable
        Told in a line of what was done.

    Raises
    ------
    FidelityError
        If the packages are of several models, segments or weights, or of other weights than the model's, or one of
        them is there twice or float32's is missing.
    """

    def __init__(
        self, packages: Sequence[Package], checkpoint: Checkpoint, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self.packages = {package.metadata.variant: package for package in packages}
        self._checkpoint, self._folder, self._tell = checkpoint, folder, tell
        if len(self.packages) != len(packages) or FLOAT32_VARIANT not in self.packages:
            raise FidelityError(f"give one package of each variant, and one of {FLOAT32_VARIANT} among them")
        metadata = packages[0].metadata
        for package in packages:
            one = package.metadata
            if (one.model, one.segment_samples) != (metadata.model, metadata.segment_samples):
                raise FidelityError(f"{package.path} is of another model or segment than {packages[0].path}")
            if one.weights_sha256 != checkpoint.sha256:
                raise FidelityError(f"{package.path} was not made from the weights of {one.model}; convert it again")
        self.conditions = Conditions(
            version=VERSION,
            model=metadata.model,
            weights_sha256=checkpoint.sha256,
            stems=metadata.sources,
            segment_samples=metadata.segment_samples,
            signals=PROBES,
            seed=HELD_OUT_SEED,
        )

    @cached_property
    def references(self) -> list[Reference]:
        """The references of all signals."""
        self._tell("computing what PyTorch gives")
        conditions = self.conditions
        return list(references(self._checkpoint, conditions.segment_samples, conditions.signals, conditions.seed))

    @cached_property
    def _float32_program(self) -> Program:
        return read_program(self.packages[FLOAT32_VARIANT].path)

    @cached_property
    def _pessimistic(self) -> PessimisticScores:
        signals = [name for name in self.conditions.signals if name != STRESS]
        return PessimisticScores(self._checkpoint, signals, self.conditions.seed)

    def pytorch_float64_snr_db(self) -> dict[str, tuple[float, ...]]:
        """Score of float32 PyTorch against float64 PyTorch, by signal."""
        return {reference.name: reference.exact_scores(reference.stems) for reference in self.references}

    def measure(self, name: str) -> PackageFigures:
        """Measure the package of a variant."""
        return self._measured(self.packages[name], find_variant(name))

    def measure_attention(self, name: str) -> PackageFigures:
        """Convert a variant with attention in float32, and measure that."""
        variant = with_float32_attention(find_variant(name))
        path = self._folder / f"{variant.name}.mlpackage"
        convert_checkpoint(self._checkpoint, variant, path)
        return self._measured(read_package(path), variant)

    def _measured(self, package: Package, variant: Variant) -> PackageFigures:
        pessimistic_db = self._pessimistic.worst_db(variant, self._folder)
        return measured(package, self.references, self._float32_program, pessimistic_db, self._tell)


def collected(measurements: Measurements, earlier: Results | None, keep: Callable[[Results], None]) -> Results:
    """Measure what was not measured before.

    Parameters
    ----------
    measurements : Measurements
        What is measured.
    earlier : Results or None
        What was measured before; figures of the same packages under the same conditions are taken from it.
    keep : Callable
        Given all figures so far whenever there are more.
    """
    if earlier is None or earlier.conditions != measurements.conditions:
        earlier = Results(measurements.conditions, measurements.pytorch_float64_snr_db(), {}, {})
    results = replace(earlier, packages={}, attention={})
    for name, package in measurements.packages.items():
        before = earlier.packages.get(name)
        is_known = before is not None and before.sha256 == package.digest
        figures = before if before is not None and is_known else measurements.measure(name)
        results = replace(results, packages={**results.packages, name: figures})
        keep(_with_rest(results, earlier))
    for name in (plan + SHORT_SUFFIX for plan in ATTENTION_VARIANTS):
        if name not in measurements.packages:
            continue
        before, known = earlier.attention.get(name), earlier.packages.get(name)
        is_known = known is not None and known.sha256 == measurements.packages[name].digest
        if before is None or not is_known:
            before = measurements.measure_attention(name)
        results = replace(results, attention={**results.attention, name: before})
    keep(results)
    return rounded(results)


def _with_rest(results: Results, earlier: Results) -> Results:
    """What there is so far, with the earlier figures of what comes later."""
    packages = {**earlier.packages, **results.packages}
    # Those of attention stand beside their variant's, and go with them.
    attention = {name: one for name, one in earlier.attention.items() if packages[name] == earlier.packages[name]}
    return replace(results, packages=packages, attention=attention)


@click.command()
@click.argument("task", type=click.Choice(["check", "update"]))
@click.argument("packages", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="The figures, as data.")
@click.option("--page", "page_path", required=True, type=click.Path(path_type=Path), help="The page.")
def command(task: str, packages: tuple[Path, ...], data: Path, page_path: Path) -> None:
    """Measure PACKAGES of one model and segment; compare the figures with the data, or write them."""
    read = [read_package(path) for path in packages]
    checkpoint = load_weights(find_model(read[0].metadata.model), None)
    earlier = read_results(data) if data.exists() else None
    if task == "check" and earlier is None:
        raise click.ClickException(f"there is no {data} to compare with; `just update-fidelity` writes it")
    with tempfile.TemporaryDirectory() as folder:
        measurements = Measurements(read, checkpoint, Path(folder), lambda line: click.echo(line, err=True))
        if task == "check":
            results = collected(measurements, None, lambda _: None)
        else:
            results = collected(measurements, earlier, lambda so_far: write_results(data, so_far))
    held = verdicts(results, shipped_bars(), variants())
    text = page(results, held)
    failures = [
        f"{one.variant} does not reach its bar: {one.bar}, measured {one.figure}"
        for one in held
        if not one.holds and not one.is_goal
    ]
    if task == "update":
        with atomic_file(page_path) as partial:
            partial.write_text(text, encoding="utf-8")
    elif earlier is not None:
        failures += disagreements(results, earlier)
    click.echo(text.split("\n\n## ")[1].split("\n\n")[1])
    if failures:
        raise click.ClickException("\n".join(failures))


if __name__ == "__main__":
    command()
