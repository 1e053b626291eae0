import math
import re
from pathlib import Path
from typing import Any

import demucs
import numpy as np
import pytest
import yaml

from htdemucs_coreml.models.architecture import network_arguments, parameter_shapes
from htdemucs_coreml.models.registry import PublishedFile, UnknownModelError, bags, find_model, registry
from htdemucs_coreml.weights.content import MAX_FILE_BYTES


@pytest.mark.parametrize("name", registry())
def test_every_architecture_names_arguments_of_htdemucs(name: str) -> None:
    entry = find_model(name)
    assert entry.architecture.keys() <= network_arguments(entry).keys()


@pytest.mark.parametrize("name", registry())
def test_what_a_checkpoint_may_differ_in_is_switched_off(name: str) -> None:
    arguments = network_arguments(find_model(name))
    assert arguments["t_emb"] == "sin"
    assert not any(arguments[switch] for switch in ("t_sparse_self_attn", "t_sparse_cross_attn", "wiener_iters"))
    assert not arguments["multi_freqs"]


PUBLISHED = [file for entry in registry().values() for file in entry.weights]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.file)
def test_published_files_are_pinned_by_size_and_sha256_or_say_why_not(published: PublishedFile) -> None:
    assert published.url.endswith(f"/{published.file}")
    if published.open is None:
        assert re.fullmatch("[0-9a-f]{64}", published.sha256 or "")
        assert published.bytes is not None
        assert 0 < published.bytes <= MAX_FILE_BYTES


@pytest.mark.parametrize(
    "pin", [{}, {"bytes": 1}, {"sha256": "a"}, {"bytes": 1, "sha256": "a", "open": "b"}, {"bytes": 1, "open": "b"}]
)
def test_a_pin_is_complete_or_open_for_a_reason(pin: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs both"):
        PublishedFile("f", "https://host/f", **pin)


FOUR_STEM_MODELS = ["htdemucs", *bags()["htdemucs_ft"].members]


@pytest.mark.parametrize(
    ("name", "parameters"), [("htdemucs_6s", 27_414_996), *((name, 41_984_456) for name in FOUR_STEM_MODELS)]
)
def test_a_model_has_the_published_number_of_parameters(name: str, parameters: int) -> None:
    assert sum(math.prod(shape) for shape in parameter_shapes(find_model(name)).values()) == parameters


@pytest.mark.parametrize("name", [name for name in registry() if name != "fixture"])
def test_the_name_of_a_legacy_file_ends_in_the_beginning_of_its_sha256(name: str) -> None:
    safetensors, legacy = find_model(name).weights
    signature, checksum = legacy.file.removesuffix(".th").split("-")
    assert safetensors.file == f"{signature}.safetensors"
    assert (legacy.sha256 or "").startswith(checksum)


UPSTREAMS_REMOTE = Path(demucs.__file__).parent / "remote"


@pytest.mark.parametrize("name", ["htdemucs_6s", "htdemucs", "htdemucs_ft"])
def test_models_and_bags_are_upstreams(name: str) -> None:
    upstream = yaml.safe_load((UPSTREAMS_REMOTE / f"{name}.yaml").read_text())
    members = bags()[name].members if name in bags() else (name,)
    assert [find_model(member).weights[1].file.split("-")[0] for member in members] == upstream["models"]
    if name in bags():
        assert [list(row) for row in bags()[name].matrix] == upstream["weights"]
    legacy_files = (UPSTREAMS_REMOTE / "files.txt").read_text().split()
    assert {find_model(member).weights[1].file for member in members} <= set(legacy_files)


def test_no_file_is_published_as_two_models() -> None:
    digests = [published.sha256 for published in PUBLISHED if published.sha256 is not None]
    assert len(set(digests)) == len(digests)


def test_a_bag_is_no_model_but_names_its_members() -> None:
    with pytest.raises(UnknownModelError, match="a bag of models: choose one of its members htdemucs_ft_drums, "):
        find_model("htdemucs_ft")


def test_every_stem_of_a_bag_comes_from_some_member_and_no_weight_is_negative() -> None:
    for bag in bags().values():
        sources = {find_model(member).sources for member in bag.members}
        assert len(sources) == 1
        matrix = np.array(bag.matrix)
        assert matrix.shape == (len(bag.members), len(sources.pop()))
        assert (matrix >= 0).all()
        assert (matrix.sum(axis=0) > 0).all()


def test_the_fixture_has_the_architecture_of_htdemucs_6s() -> None:
    assert parameter_shapes(find_model("fixture")) == parameter_shapes(find_model("htdemucs_6s"))


def test_an_unknown_model_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"htdemucs_6s, htdemucs, .*, fixture"):
        find_model("htdemucs_7s")
