"""Proof that a package's bytes compute what PyTorch computes, from the package as it lies on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.core.contract import OUTPUT_NAMES
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.registry import UnknownModelError, find_model
from htdemucs_coreml.package.lock import LockVerdict, compare_with_lock, read_lock
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.weights.cache import fetched_weights
from htdemucs_coreml.weights.source import load_weights

RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


class VerificationError(HTDemucsCoreMLError):
    """A package is not what it has to be, or there is nothing to compare it with."""


@dataclass(frozen=True)
class Requirement:
    """How close a package has to come to PyTorch.

    Attributes
    ----------
    stem_floor_db : float
        Signal-to-noise ratio of every stem.
    every_element : bool
        Whether every element of the outputs has to be within tolerance besides, as those of float32 are.
    """

    stem_floor_db: float
    every_element: bool


@dataclass(frozen=True)
class Verification:
    """How close a package comes to PyTorch on one segment of music.

    Attributes
    ----------
    package : Package
        What was read from disk.
    output_snr_db : Mapping[str, float]
        Signal-to-noise ratio of each output of the core.
    output_within_tolerance : Mapping[str, bool]
        Whether ``|actual - expected| <= 1e-4 + 1e-3 |expected|`` holds for every element of each output.
    stem_snr_db : Mapping[str, float]
        Signal-to-noise ratio of each stem's waveform, after the inverse STFT.
    requirement : Requirement
        How close it has to come.
    """

    package: Package
    output_snr_db: Mapping[str, float]
    output_within_tolerance: Mapping[str, bool]
    stem_snr_db: Mapping[str, float]
    requirement: Requirement

    @property
    def passed(self) -> bool:
        """Whether the package comes as close as it has to."""
        within = not self.requirement.every_element or all(self.output_within_tolerance.values())
        return within and all(snr >= self.requirement.stem_floor_db for snr in self.stem_snr_db.values())


def verify_package(
    path: Path, weights: Path | None, sha256: str | None = None, stem_floor_db: float | None = None
) -> Verification:
    """Run a package and PyTorch on the same segment and compare.

    Parameters
    ----------
    path : Path
        The ``.mlpackage``.
    weights : Path or None
        Weights of the package's model; None takes those that were fetched, or generates them where that is possible.
    sha256 : str or None
        Hexadecimal sha256 that the weights file must have, in place of the registry's.
    stem_floor_db : float or None
        What every stem has to reach, in place of the variant's own floor.

    Raises
    ------
    PackageError, MILError
        If the package is damaged.
    WeightsError, VerificationError
        If the weights are missing or are not those that the package was made from, or if no floor is given for a
        package of an own precision plan.
    """
    package = read_package(path)
    metadata = package.metadata
    requirement = requirement_of(package, stem_floor_db)
    checkpoint = load_weights(find_model(metadata.model), weights, sha256)
    if checkpoint.sha256 != metadata.weights_sha256:
        raise VerificationError(
            f"{path} was made from weights {metadata.weights_sha256}, not from {checkpoint.sha256}; "
            "give the weights that it was made from with --weights"
        )
    inputs = core_inputs(torch.from_numpy(synthetic_song(metadata.segment_samples)))
    expected = TorchBackend(checkpoint, metadata.segment_samples).predict(**inputs)
    actual = InterpreterBackend(path).predict(**inputs)
    pairs = dict(zip(OUTPUT_NAMES, zip(actual, expected, strict=True), strict=True))
    stems = stem_waveforms(actual), stem_waveforms(expected)
    return Verification(
        package=package,
        output_snr_db={name: snr_db(*pair) for name, pair in pairs.items()},
        output_within_tolerance={
            name: torch.allclose(*pair, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE)
            for name, pair in pairs.items()
        },
        stem_snr_db={source: snr_db(stems[0][index], stems[1][index]) for index, source in enumerate(metadata.sources)},
        requirement=requirement,
    )


def requirement_of(package: Package, stem_floor_db: float | None = None) -> Requirement:
    """How close a package has to come to PyTorch: what ``variants.toml`` says of its variant.

    Parameters
    ----------
    package : Package
        The package.
    stem_floor_db : float or None
        What every stem has to reach, in place of the variant's own floor.

    Raises
    ------
    VerificationError
        If there is no such variant and no floor is given.
    """
    variant = package.metadata.variant
    known = variants().get(variant)
    floor_db = known.stem_floor_db if known is not None and stem_floor_db is None else stem_floor_db
    if floor_db is not None:
        return Requirement(floor_db, every_element=known is not None and known.plan.is_float32)
    raise VerificationError(
        f"{package.path} is of variant {variant}, which is none of this version's: say with --floor how many dB every "
        "stem has to reach"
    )


@dataclass(frozen=True)
class LockComparison:
    """What a lock says of a package.

    Attributes
    ----------
    lock : Path or None
        The lock, where there is one.
    name : str
        The package's name in locks, from its metadata.
    verdict : LockVerdict or None
        The comparison with the digests that the lock holds; None where it was not compared.
    reason : str or None
        Why it was not.
    """

    lock: Path | None
    name: str
    verdict: LockVerdict | None = None
    reason: str | None = None


def compare_package_with_lock(package: Package, lock: Path | None) -> LockComparison:
    """Compare a package with its entry in a lock, and its content with the listing in ``contents`` beside the lock.

    Parameters
    ----------
    package : Package
        The package.
    lock : Path or None
        The lock, if there is one.

    Raises
    ------
    LockError
        If the lock or the package cannot be read.
    """
    name = f"mlpackages.{package.metadata.model}.{package.metadata.variant}"
    if lock is None:
        return LockComparison(lock, name, reason="no lock was given")
    entry = read_lock(lock).find(name)
    if entry is None:
        return LockComparison(lock, name, reason=f"{lock} has no entry {name}")
    if entry.files is None:
        return LockComparison(lock, name, reason=f"{lock} holds no digest for {name}: {entry.reason}")
    # The name was found among the lock's, so that it cannot lead out of the folder unless the lock's own do.
    return LockComparison(lock, name, compare_with_lock(package.path, entry, lock.parent / "contents" / f"{name}.txt"))


def missing_weights(package: Package, weights: Path | None) -> str | None:
    """Why a package cannot be compared with PyTorch for want of weights; None if it can."""
    if weights is not None:
        return None
    name = package.metadata.model
    try:
        entry = find_model(name)
    except UnknownModelError:
        return f"this version knows no model {name}"
    if not entry.weights or fetched_weights(entry) is not None:
        return None
    return f"the weights of {name} were neither given nor fetched: give them with --weights"
