import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from demucs.apply import BagOfModels, apply_model
from demucs.htdemucs import HTDemucs
from torch import Tensor

from fake_cores import FakeCore
from htdemucs_coreml.backends import BackendError, CoreBackend, load_backend
from htdemucs_coreml.backends.bag import BagBackend, BagError
from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.loading import PACKAGES_VARIABLE
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.models.architecture import network_arguments
from htdemucs_coreml.models.registry import ModelEntry, bags
from htdemucs_coreml.pipeline.chunk_plan import demucs_plan
from htdemucs_coreml.pipeline.separation import separate
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.weights.checkpoint import Checkpoint
from package_edits import edit_model
from small_model import SHORT_SEGMENT_SAMPLES, SMALL_FOUR_STEM_ENTRY

FT = bags()["htdemucs_ft"]
SOURCES = SMALL_FOUR_STEM_ENTRY.sources
IDENTITY = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
# As in upstream's mdx.yaml, and with shares that are no whole numbers.
MIXED = ((1, 1, 0, 0.25), (0, 1, 0, 3), (1, 0, 0.3, 1))


def weights_by_stem(matrix: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    return {
        stem: {str(row): weights[column] for row, weights in enumerate(matrix)} for column, stem in enumerate(SOURCES)
    }


def random_network(seed: int) -> HTDemucs:
    architecture = {**SMALL_FOUR_STEM_ENTRY.architecture, "t_layers": 1}
    torch.manual_seed(seed)
    segment = Fraction(SHORT_SEGMENT_SAMPLES, SAMPLE_RATE_HZ)
    network: HTDemucs = HTDemucs(
        **network_arguments(replace(SMALL_FOUR_STEM_ENTRY, architecture={**architecture, "segment": segment}))
    ).eval()
    return network


def torch_backend(network: HTDemucs) -> TorchBackend:
    architecture = {**SMALL_FOUR_STEM_ENTRY.architecture, "t_layers": 1}
    entry = replace(SMALL_FOUR_STEM_ENTRY, architecture=architecture)
    return TorchBackend(Checkpoint(entry, SOURCES, network.state_dict(), "0" * 64), SHORT_SEGMENT_SAMPLES)


def upstream_stems(networks: Sequence[HTDemucs], matrix: Sequence[Sequence[float]], samples: Tensor) -> Tensor:
    """Separate as demucs 4.1.0's `api.Separator.separate_tensor` does with ``shifts=0``."""
    mono = samples.mean(0)
    mean, deviation = mono.mean(), mono.std() + 1e-8
    bag = BagOfModels(list(networks), [list(row) for row in matrix])
    mix = ((samples - mean) / deviation)[None]
    apply: Any = apply_model
    stems: Tensor = apply(bag, mix, shifts=0, split=True, overlap=0.25)[0]
    return stems * deviation + mean


@pytest.mark.parametrize("matrix", [IDENTITY, MIXED])
def test_a_bag_separates_as_upstreams_bag_does(matrix: Sequence[Sequence[float]]) -> None:
    networks = [random_network(seed) for seed in range(len(matrix))]
    samples = torch.from_numpy(synthetic_song(12_000))
    bag = BagBackend(
        {str(index): torch_backend(network) for index, network in enumerate(networks)}, weights_by_stem(matrix)
    )
    stems = separate(samples, bag, demucs_plan(0.25, SHORT_SEGMENT_SAMPLES))
    for actual, expected in zip(stems, upstream_stems(networks, matrix, samples), strict=True):
        assert snr_db(actual, expected) >= 100


def constant_core(*values: float, sources: tuple[str, ...] = SOURCES, samples: int = SHORT_SEGMENT_SAMPLES) -> FakeCore:
    """A core whose stems are constants, whatever the mix."""
    levels = torch.tensor(values)[:, None, None]
    return FakeCore(sources, samples, lambda waveform: levels.expand(-1, *waveform.shape))


def levels(backend: CoreBackend) -> list[float]:
    inputs = [torch.zeros(shape) for shape in backend.contract.input_shapes.values()]
    outputs = backend.predict(*inputs)
    assert {name: tuple(each.shape) for name, each in outputs._asdict().items()} == backend.contract.output_shapes
    return outputs.stems_waveform[0, :, 0, 0].tolist()


def test_weights_are_relative_to_each_other() -> None:
    members = {"a": constant_core(1, 2, 3, 4), "b": constant_core(5, 6, 7, 8)}
    weights = {"drums": {"a": 3.0, "b": 1.0}, "bass": {"b": 0.1}, "other": {"a": 7.0}, "vocals": {"a": 2.0, "b": 2.0}}
    assert levels(BagBackend(members, weights)) == [2, 6, 3, 6]


def test_only_stems_with_weights_are_given_and_only_members_that_count_are_run() -> None:
    members = {"a": constant_core(1, 2, 3, 4), "b": constant_core(5, 6, 7, 8)}
    bag = BagBackend(members, {"vocals": {"a": 0.0, "b": 1.0}, "bass": {"b": 1.0}})
    assert bag.contract.sources == ("vocals", "bass")
    assert levels(bag) == [8, 6]
    assert (members["a"].predictions, members["b"].predictions) == (0, 1)


def test_what_a_member_gives_where_it_does_not_count_is_not_looked_at() -> None:
    members = {"a": constant_core(1, math.nan, 3, 4), "b": constant_core(math.inf, 6, 7, 8)}
    weights = {"drums": {"a": 1.0, "b": 0.0}, "bass": {"b": 1.0}}
    assert levels(BagBackend(members, weights)) == [1, 6]


def test_members_that_differ_are_refused_by_name() -> None:
    one = constant_core(1, 2, 3, 4)
    other_order = constant_core(1, 2, 3, 4, sources=("drums", "bass", "vocals", "other"))
    with pytest.raises(
        BagError, match="b separates drums, bass, vocals, other, but a separates drums, bass, other, vo"
    ):
        BagBackend({"a": one, "b": other_order}, {"drums": {"a": 1.0}})
    longer = constant_core(1, 2, 3, 4, samples=2 * SHORT_SEGMENT_SAMPLES)
    with pytest.raises(
        BagError, match="b takes segments of 22528 samples, but a of 11264; take packages of one variant"
    ):
        BagBackend({"a": one, "b": longer}, {"drums": {"a": 1.0}})
    with pytest.raises(BagError, match="at least one model"):
        BagBackend({}, {"drums": {"a": 1.0}})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"guitar": {"a": 1.0}}, "has weights for guitar, but its models separate drums, bass, other, vocals"),
        ({"drums": {"b": 1.0}}, "has weights for b, which is not among its models"),
        ({"drums": {"a": 0.0}}, "the weights for drums are"),
        ({"drums": {}}, "the weights for drums are"),
        ({"drums": {"a": -1.0}}, "0 or more"),
        ({"drums": {"a": math.nan}}, "0 or more"),
        ({"drums": {"a": math.inf}}, "0 or more"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: Mapping[str, Mapping[str, float]], message: str) -> None:
    with pytest.raises(BagError, match=message):
        BagBackend({"a": constant_core(1, 2, 3, 4)}, weights)


@pytest.fixture(scope="module")
def packages(small_four_stem_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package for each member of htdemucs_ft; tests must not change it."""
    folder = tmp_path_factory.mktemp("bag")
    for member in FT.members:
        copy_as(member, small_four_stem_package, folder / f"{member}.mixed.mlpackage")
    return folder


def copy_as(model: str, package: Path, copy: Path) -> None:
    shutil.copytree(package, copy)
    edit_model(copy, lambda edited: edited.description.metadata.userDefined.update({"model": model}))


def load_bag(folder: Path | None, stems: Sequence[str] | None = None) -> CoreBackend:
    return load_backend(
        "interpreter", model="htdemucs_ft", package=None, weights=None, segment=None, packages=folder, stems=stems
    )


def test_a_bags_packages_are_found_by_their_members_names(
    packages: Path, small_four_stem_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PACKAGES_VARIABLE, str(packages))
    bag, single = load_bag(None), InterpreterBackend(small_four_stem_package)
    assert bag.contract == single.contract
    inputs = [torch.rand(shape) for shape in single.contract.input_shapes.values()]
    # All members are the same package here, and each stem is one member's.
    assert all(torch.equal(a, b) for a, b in zip(bag.predict(*inputs), single.predict(*inputs), strict=True))


def test_members_that_no_stem_asks_for_need_no_package(packages: Path, tmp_path: Path) -> None:
    for member in ("htdemucs_ft_vocals", "htdemucs_ft_bass"):
        shutil.copytree(packages / f"{member}.mixed.mlpackage", tmp_path / f"{member}.mixed.mlpackage")
    assert load_bag(tmp_path, stems=["vocals", "bass"]).contract.sources == ("bass", "vocals")
    with pytest.raises(
        BackendError,
        match=r"needs each of htdemucs_ft_drums, .* fetch htdemucs_ft`",
    ):
        load_bag(tmp_path)


def test_another_variant_of_the_members_is_taken_where_it_is_asked_for(packages: Path, tmp_path: Path) -> None:
    for package in packages.iterdir():
        shutil.copytree(package, tmp_path / package.name.replace(".mixed.", ".float32."))
    bag = load_backend(
        "interpreter",
        model="htdemucs_ft",
        package=None,
        weights=None,
        segment=None,
        variant="float32",
        packages=tmp_path,
    )
    assert bag.contract.sources == SOURCES


def test_a_stem_that_there_is_not_leaves_all_that_there_are_to_be_told(packages: Path) -> None:
    assert load_bag(packages, stems=["guitar"]).contract.sources == SOURCES


def test_a_package_that_is_named_after_another_model_is_refused(packages: Path, tmp_path: Path) -> None:
    drums = packages / "htdemucs_ft_drums.mixed.mlpackage"
    shutil.copytree(drums, tmp_path / "htdemucs_ft_vocals.mixed.mlpackage")
    with pytest.raises(BackendError, match="holds the model htdemucs_ft_drums, and not the one that it is named after"):
        load_bag(tmp_path, stems=["vocals"])


@pytest.mark.parametrize("form", [0, 1])
def test_with_pytorch_each_member_gets_its_file_from_the_folder(
    form: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: dict[str, Path | None] = {}

    def load(entry: ModelEntry, weights: Path | None, samples: int, sha256: str | None) -> FakeCore:
        assert sha256 is None
        loaded[entry.name] = weights
        return constant_core(1, 2, 3, 4, samples=samples)

    def load_bag_of(stems: Sequence[str] | None) -> CoreBackend:
        return load_backend("torch", model="htdemucs_ft", package=None, weights=tmp_path, segment="7.8s", stems=stems)

    monkeypatch.setattr(TorchBackend, "load", load)
    files = [
        ("f7e0c4bc.safetensors", "f7e0c4bc-ba3fe64a.th")[form],
        ("04573f0d.safetensors", "04573f0d-f3cf25b2.th")[form],
    ]
    for file in files:
        (tmp_path / file).touch()
    bag = load_bag_of(["drums", "vocals"])
    assert bag.contract.segment_samples == 343_980
    assert loaded == {"htdemucs_ft_drums": tmp_path / files[0], "htdemucs_ft_vocals": tmp_path / files[1]}
    with pytest.raises(
        BackendError, match=r"no weights of htdemucs_ft_bass: for htdemucs_ft, put d12395a8\.safetensors or"
    ):
        load_bag_of(None)
