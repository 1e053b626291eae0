"""``verify``: a package's bytes against PyTorch."""

import sys
from pathlib import Path

import click

from htdemucs_coreml.verification import STEM_FLOOR_DB, verify_package, worst_db


@click.command("verify")
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The weights that the package was made from; not needed for the fixture model, whose weights are computed.",
)
def command(package: Path, weights: Path | None) -> None:
    """Check a PACKAGE's digests and compare what its bytes compute with PyTorch.

    One segment of a synthetic song goes through the package, executed by the project's interpreter, and through
    demucs' own layers. Exits with 1 unless every output is within 1e-4 + 1e-3 |x| and every stem reaches 100 dB.
    """
    verification = verify_package(package, weights)
    metadata = verification.package.metadata
    click.echo(f"{package}  {metadata.model} {metadata.variant}  sha256 {verification.package.digest}")
    for name, snr in verification.output_snr_db.items():
        verdict = "within" if verification.output_within_tolerance[name] else "OUTSIDE"
        click.echo(f"  {name:<15} {snr:6.1f} dB  {verdict} 1e-4 + 1e-3 |x|")
    for source, snr in verification.stem_snr_db.items():
        click.echo(f"  {source:<15} {snr:6.1f} dB")
    worst = worst_db(verification)
    if not verification.passed:
        click.echo(
            f"FAILED: the worst stem is {worst:.1f} dB from PyTorch, the floor is {STEM_FLOOR_DB:.0f} dB",
            err=True,
        )
        sys.exit(1)
    click.echo(f"verified: the worst stem is {worst:.1f} dB from PyTorch (floor {STEM_FLOOR_DB:.0f} dB)")
