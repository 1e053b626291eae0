"""Fixtures that several areas share: a small model of the same architecture, and a package of it."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from demucs.htdemucs import HTDemucs

from htdemucs_coreml.backends.loading import PACKAGES_VARIABLE
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.source import load_weights
from small_model import FULL_SIZE_VARIANTS, SHORT_VARIANT, SMALL_ENTRY, SMALL_FOUR_STEM_ENTRY


@pytest.fixture(scope="session")
def small_checkpoint() -> Checkpoint:
    """Fixture weights of the small model."""
    return load_weights(SMALL_ENTRY, None)


@pytest.fixture
def small_network(small_checkpoint: Checkpoint) -> HTDemucs:
    """Demucs' network of the small model; tests may change it."""
    tensors = {name: tensor.clone() for name, tensor in small_checkpoint.tensors.items()}
    return build_network(SMALL_ENTRY, tensors)


@pytest.fixture(scope="session")
def small_package(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 package of the small model with the short segment; tests must not change it."""
    path = tmp_path_factory.mktemp("packages") / "small.mlpackage"
    convert_checkpoint(small_checkpoint, SHORT_VARIANT, path)
    return path


@pytest.fixture(scope="session")
def small_four_stem_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 package of the small model with four stems and the short segment; tests must not change it."""
    path = tmp_path_factory.mktemp("packages") / "small_four_stems.mlpackage"
    convert_checkpoint(load_weights(SMALL_FOUR_STEM_ENTRY, None), SHORT_VARIANT, path)
    return path


@pytest.fixture(scope="session")
def fixture_packages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Full-size fixture packages by their variant: those that Nix built, or the same converted here."""
    folder = os.environ.get(PACKAGES_VARIABLE)
    if folder is not None:
        return {variant: (Path(folder) / f"fixture.{variant}.mlpackage").resolve() for variant in FULL_SIZE_VARIANTS}
    converted = {variant: tmp_path_factory.mktemp("fixture") / f"{variant}.mlpackage" for variant in FULL_SIZE_VARIANTS}
    checkpoint = load_weights(find_model("fixture"), None)
    for variant, path in converted.items():
        convert_checkpoint(checkpoint, variants()[variant], path)
    return converted
