"""``export``: a package out of an installation, to be used elsewhere."""

import re
from pathlib import Path

import click

from htdemucs_coreml.backends.loading import find_package_of_variant
from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.convert.variants import default_variant, variants
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, UnknownModelError
from htdemucs_coreml.package.copying import copy_package
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import read_package

_DEFAULT_VARIANT = default_variant().name
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml export ~/Desktop
  htdemucs-coreml export build --variant mixed-7_8s
  htdemucs-coreml export build --package result/htdemucs_6s.mixed.mlpackage
"""


@click.command("export", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=GivenPath())
@click.option(
    "--model",
    metavar="NAME",
    help=f"A model whose package is in --packages.  [default: {EMBEDDED_MODEL}]",
)
@click.option(
    "--variant", type=click.Choice(list(variants())), help=f"Which of its packages.  [default: {_DEFAULT_VARIANT}]"
)
@click.option(
    "--packages",
    metavar="DIR",
    type=GivenPath(),
    help="The folder in which --model finds its package.  [default: those built beside this installation]",
)
@click.option("--package", type=GivenPath(), help="An .mlpackage to copy, in place of the options above.")
def command(folder: Path, model: str | None, variant: str | None, packages: Path | None, package: Path | None) -> None:
    """Copy a package into the folder DIR, to be changed, shipped or dragged into Xcode.

    The copy is DIR/<model>.<variant>.mlpackage. The package is checked first, as by `info`, and the bytes that were
    checked are copied to plain, writable files, all of them or none. Core ML refuses links, which Nix puts in front of
    what it builds.
    """
    if package is not None and (model is not None or variant is not None or packages is not None):
        raise click.UsageError("--package excludes --model, --variant and --packages: it says which package it is")
    try:
        found = package or find_package_of_variant(model or EMBEDDED_MODEL, variant or _DEFAULT_VARIANT, packages)
    except UnknownModelError as error:
        raise click.UsageError(str(error)) from error
    read = read_package(found)
    name = f"{read.metadata.model}.{read.metadata.variant}"
    if not _FILE_NAME.fullmatch(name):
        raise PackageError(
            f"{found} calls itself {name!r}, which cannot be the name of a file; convert the model again"
        )
    target = folder / f"{name}.mlpackage"
    copy_package(read, target)
    click.echo(printable(str(target)))
