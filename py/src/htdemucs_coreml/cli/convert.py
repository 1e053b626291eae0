"""``convert``: from weights to a Core ML package."""

from pathlib import Path

import click

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.sha256_option import sha256_option
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.compress.plans import read_compression_plan
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import Variant, default_variant, find_variant, variants
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, bags, find_model, registry
from htdemucs_coreml.package.canonical import require_target
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.precision.plans import read_plan
from htdemucs_coreml.weights.source import load_weights

# What a plan of one's own is applied to.
_PLAIN_VARIANT = "float32"

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml convert --model fixture -o fixture.mlpackage
  htdemucs-coreml convert --variant float32-7_8s -o fixture.mlpackage
  htdemucs-coreml convert --model htdemucs_6s -o htdemucs_6s.mlpackage        # after `fetch htdemucs_6s`
  htdemucs-coreml convert --model htdemucs_6s --weights own.th --sha256 HEX -o own.mlpackage
"""


@click.command("convert", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.option(
    "--model",
    default=EMBEDDED_MODEL,
    show_default=True,
    type=click.Choice([*registry(), *bags()]),
    help="What to convert. `fixture` needs no file, but does not separate; others need their weights, from `fetch` or "
    "--weights. A bag of models (`htdemucs_ft`) has a package for each member.",
)
@click.option(
    "--weights",
    type=GivenPath(),
    help="The model's safetensors or .th file. It is checked against the registry's sha256; no code from it is run.  "
    "[default: the file that was fetched]",
)
@sha256_option
@click.option(
    "--variant",
    type=click.Choice(list(variants())),
    help="Precision, compression and segment: a name that ends in -7_8s takes segments of 7.8 s (as trained), others "
    f"of 10 s.  [default: {default_variant().name}]",
)
@click.option(
    "--plan-file",
    type=GivenPath(),
    help="A precision plan of your own (TOML), which names blocks and their types. --variant then says which segment: "
    f"float32-7_8s, or {_PLAIN_VARIANT}, which is the default then.",
)
@click.option(
    "--compression-file",
    type=GivenPath(),
    help="A compression plan of your own (TOML), which names blocks and the forms of their weights. --variant then "
    "says which precision plan and segment: one that is not compressed, such as mixed.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The .mlpackage to write or replace.",
)
def command(
    model: str,
    weights: Path | None,
    sha256: str | None,
    variant: str | None,
    plan_file: Path | None,
    compression_file: Path | None,
    output: Path,
) -> None:
    """Convert a model to a Core ML package.

    The bytes depend on the weights, the variant and the locked dependencies, and on nothing else: the printed sha256
    is the same on every machine. The package appears whole or not at all.
    """
    if output.suffix != ".mlpackage":
        raise click.BadParameter(f"{printable(str(output))} has to end in .mlpackage", param_hint="--output")
    if model in bags():
        members = ", ".join(bags()[model].members)
        raise click.BadParameter(f"{model} is a bag of models: convert each of {members}", param_hint="--model")
    require_target(output)
    chosen = _chosen_variant(variant, plan_file, compression_file)
    checkpoint = load_weights(find_model(model), weights, sha256)
    convert_checkpoint(checkpoint, chosen, output)
    package = read_package(output)
    click.echo(printable(f"{output}  {package.bytes / 1e6:.1f} MB  sha256 {package.digest}"))


def _chosen_variant(name: str | None, plan_file: Path | None, compression_file: Path | None) -> Variant:
    chosen = _with_precision(name, plan_file)
    if compression_file is None:
        return chosen
    if chosen.compression is not None:
        raise click.BadParameter(
            f"{name} is compressed by a plan of its own; --compression-file goes with one that is not, as mixed",
            param_hint="--variant",
        )
    return chosen.with_compression(read_compression_plan(compression_file))


def _with_precision(name: str | None, plan_file: Path | None) -> Variant:
    if plan_file is None:
        return default_variant() if name is None else find_variant(name)
    chosen = find_variant(name or _PLAIN_VARIANT)
    if not chosen.plan.is_float32 or chosen.compression is not None:
        raise click.BadParameter(f"{name} has a plan of its own; --plan-file goes with float32", param_hint="--variant")
    return chosen.with_plan(read_plan(plan_file))
