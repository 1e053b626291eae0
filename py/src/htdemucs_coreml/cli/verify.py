"""``verify``: whether a package is what it has to be, by whatever there is to compare it with."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.sha256_option import sha256_option
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.verification import (
    LockComparison,
    Verification,
    VerificationError,
    compare_package_with_lock,
    missing_weights,
    verify_package,
)

LOCK_VARIABLE = "HTDEMUCS_COREML_LOCK"

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml verify fixture.mixed.mlpackage
  htdemucs-coreml verify htdemucs_6s.mlpackage --weights 5c90dfd2.safetensors
  htdemucs-coreml verify fixture.mixed.mlpackage --lock goldens/lock.json --json
"""


@click.command(
    "verify",
    context_settings=CONTEXT_SETTINGS,
    epilog=_EXAMPLES,
    help="""Check a PACKAGE, wherever it comes from, and say what it was compared with.

    \b
    digests  its layout, its metadata and the digests that these hold of its files
    lock     the sha256 of every file, as the lock has it; what differs is named: file, operation, constant
    PyTorch  one segment of a synthetic song, through the package's bytes and through demucs' own layers

    Nothing is built or fetched: where the lock has no entry, or weights are not at hand, nothing is compared with
    them, and that is said. PyTorch agrees where every stem reaches the variant's floor: 110 dB for float32,
    60 for mixed, 50 for float16; and for float32 where every output is within 1e-4 + 1e-3 |x| besides. Exits with 1 if
    anything disagrees, or if there is nothing but digests to compare.
    """,
)
@click.argument("package", type=GivenPath())
@click.option(
    "--weights",
    metavar="FILE",
    type=GivenPath(),
    help="The weights that the package was made from; not needed for the fixture model, whose weights are computed.  "
    "[default: the file that was fetched]",
)
@sha256_option
@click.option(
    "--lock",
    metavar="FILE",
    type=GivenPath(),
    envvar=LOCK_VARIABLE,
    help=f"A lock.json, with the folder `contents` beside it.  [default: {LOCK_VARIABLE}, else what comes with the "
    "installation, else none]",
)
@click.option(
    "--floor",
    "stem_floor_db",
    metavar="DB",
    type=click.FloatRange(min=0),
    help="How many dB every stem has to reach.  [default: what stems of the variant have to; none for a precision plan "
    "of your own]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def command(
    package: Path,
    weights: Path | None,
    sha256: str | None,
    lock: Path | None,
    stem_floor_db: float | None,
    as_json: bool,
) -> None:
    """Print what was compared; raise `VerificationError` after it if anything disagrees."""
    read = read_package(package)
    locked = compare_package_with_lock(read, lock)
    missing = missing_weights(read, weights)
    if locked.verdict is None and missing is not None:
        raise VerificationError(
            f"there is nothing to compare {package} with: {locked.reason}, and {missing}; or give a lock that has it "
            "with --lock"
        )
    if missing is not None and (sha256 is not None or stem_floor_db is not None):
        raise VerificationError(f"--sha256 and --floor are about PyTorch, with which nothing is compared: {missing}")
    verification = None if missing is not None else verify_package(package, weights, sha256, stem_floor_db)
    disagreements = _disagreements(locked, verification)
    if as_json:
        click.echo(json.dumps(_table(read, locked, missing, verification) | {"agrees": not disagreements}, indent=2))
    else:
        for line in _lines(package, read, locked, missing, verification):
            click.echo(printable(line))
    if disagreements:
        raise VerificationError(f"{package} is not what it has to be: {'; '.join(disagreements)}")


def _disagreements(locked: LockComparison, verification: Verification | None) -> list[str]:
    found = []
    if locked.verdict is not None and not locked.verdict.confirmed:
        found.append(f"it is not {locked.name} of {locked.lock}, see above; make or get it again")
    if verification is not None and not verification.passed:
        worst, worst_db = _worst(verification)
        outside = [name for name, within in verification.output_within_tolerance.items() if not within]
        tolerance = f", outside of tolerance: {', '.join(outside) or 'none'}" if _counts(verification) else ""
        found.append(
            f"it does not compute what PyTorch computes: the worst stem, {worst}, is {worst_db:.1f} dB from it "
            f"(floor {verification.requirement.stem_floor_db:.0f} dB){tolerance}; convert it again"
        )
    return found


def _counts(verification: Verification) -> bool:
    """Whether every element has to be within tolerance."""
    return verification.requirement.every_element


def _worst(verification: Verification) -> tuple[str, float]:
    return min(verification.stem_snr_db.items(), key=lambda item: item[1])


def _lines(
    path: Path, read: Package, locked: LockComparison, missing: str | None, verification: Verification | None
) -> list[str]:
    compared = ["layout and digests"]
    lines = [
        f"package  {path}  {read.metadata.model} {read.metadata.variant}",
        f"sha256   {read.digest}",
        "digests  compared: its files are those that its metadata names",
    ]
    if locked.verdict is None:
        lines.append(f"lock     not compared: {locked.reason}")
    else:
        outcome = "every file has the sha256 of" if locked.verdict.confirmed else "DIFFERS from"
        lines.append(f"lock     compared: {outcome} {locked.name} in {locked.lock}")
        lines += [f"  {difference}" for difference in locked.verdict.differences]
        compared.append("lock")
    if verification is None:
        lines.append(f"PyTorch  not compared: {missing}")
    else:
        worst, worst_db = _worst(verification)
        lines.append(f"PyTorch  compared: the worst stem, {worst}, is {worst_db:.1f} dB from it")
        floor_db = verification.requirement.stem_floor_db
        for name, snr in verification.output_snr_db.items():
            verdict = "within" if verification.output_within_tolerance[name] else "OUTSIDE"
            tolerance = f"  {verdict} 1e-4 + 1e-3 |x|" if _counts(verification) else ""
            lines.append(f"  {name:<15} {snr:6.1f} dB{tolerance}")
        for source, snr in verification.stem_snr_db.items():
            lines.append(f"  {source:<15} {snr:6.1f} dB  {'at least' if snr >= floor_db else 'BELOW'} {floor_db:.0f}")
        compared.append("PyTorch")
    if not _disagreements(locked, verification):
        lines.append(f"verified: {', '.join(compared)}")
    return lines


def _table(
    read: Package, locked: LockComparison, missing: str | None, verification: Verification | None
) -> dict[str, Any]:
    lock: dict[str, Any] = {"compared": locked.verdict is not None, "name": locked.name, "reason": locked.reason}
    if locked.verdict is not None:
        lock |= {
            "lock": str(locked.lock),
            "agrees": locked.verdict.confirmed,
            "differences": list(locked.verdict.differences),
        }
    pytorch: dict[str, Any] = {"compared": verification is not None, "reason": missing}
    if verification is not None:
        pytorch |= {
            "agrees": verification.passed,
            "output_snr_db": _finite(verification.output_snr_db),
            "output_within_tolerance": dict(verification.output_within_tolerance),
            "stem_snr_db": _finite(verification.stem_snr_db),
            "floor_db": verification.requirement.stem_floor_db,
        }
    return {
        "model": read.metadata.model,
        "variant": read.metadata.variant,
        "sha256": read.digest,
        "digests": {"compared": True, "agrees": True},
        "lock": lock,
        "pytorch": pytorch,
    }


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers that JSON has; null stands for others, as for the infinite one of outputs that are equal."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
