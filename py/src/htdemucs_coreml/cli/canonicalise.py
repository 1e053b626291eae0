"""``canonicalise``: a package in the form that depends on its program alone."""

from pathlib import Path

import click

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.package.canonicalisation import canonicalise
from htdemucs_coreml.package.digests import tree_sha256
from htdemucs_coreml.package.files import package_files, require_sizes

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml canonicalise saved.mlpackage -o canonical.mlpackage
"""


@click.command("canonicalise", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("package", type=GivenPath())
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The .mlpackage to write or replace; it may be PACKAGE itself.",
)
def command(package: Path, output: Path) -> None:
    """Write any ML program's PACKAGE in canonical form.

    Two saves of one program by coremltools differ; their canonical forms are the same bytes. Random identifiers, the
    order of maps, the date of conversion, build strings and unused bytes of weight.bin go; program, constants and
    all other metadata stay. A package of this project comes out as it is, or is refused if it was changed.
    """
    if output.suffix != ".mlpackage":
        raise click.BadParameter(f"{printable(str(output))} has to end in .mlpackage", param_hint="--output")
    canonicalise(package, output)
    files = package_files(output)
    digest = tree_sha256({relative: sha256_file(file) for relative, file in files.items()})
    click.echo(printable(f"{output}  {require_sizes(output, files) / 1e6:.1f} MB  sha256 {digest}"))
