"""``verify``: a package's bytes against PyTorch."""

from pathlib import Path

import click

from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.verification import STEM_FLOOR_DB, VerificationError, verify_package


@click.command(
    "verify",
    help=f"""Check a PACKAGE's digests and compare what its bytes compute with PyTorch.

    One segment of a synthetic song goes through the package, executed by the project's interpreter, and through
    demucs' own layers. Exits with 1 unless every output is within 1e-4 + 1e-3 |x| and every stem reaches
    {STEM_FLOOR_DB:.0f} dB.
    """,
)
@click.argument("package", type=GivenPath())
@click.option(
    "--weights",
    type=GivenPath(),
    help="The weights that the package was made from; not needed for the fixture model, whose weights are computed.",
)
def command(package: Path, weights: Path | None) -> None:
    """Print a table of what was compared; raise `VerificationError` after it if anything is too far off."""
    verification = verify_package(package, weights)
    metadata = verification.package.metadata
    title = f"{package}  {metadata.model} {metadata.variant}  sha256 {verification.package.digest}"
    click.echo(printable(title))
    for name, snr in verification.output_snr_db.items():
        verdict = "within" if verification.output_within_tolerance[name] else "OUTSIDE"
        click.echo(f"  {name:<15} {snr:6.1f} dB  {verdict} 1e-4 + 1e-3 |x|")
    for source, snr in verification.stem_snr_db.items():
        click.echo(f"  {printable(source):<15} {snr:6.1f} dB")
    worst, worst_db = min(verification.stem_snr_db.items(), key=lambda item: item[1])
    if not verification.passed:
        outside = [name for name, within in verification.output_within_tolerance.items() if not within]
        raise VerificationError(
            f"{package} does not compute what PyTorch computes: the worst stem, {worst}, is {worst_db:.1f} dB from it "
            f"(floor {STEM_FLOOR_DB:.0f} dB), outside of tolerance: {', '.join(outside) or 'none'}; convert it again"
        )
    click.echo(f"verified: the worst stem is {worst_db:.1f} dB from PyTorch (floor {STEM_FLOOR_DB:.0f} dB)")
