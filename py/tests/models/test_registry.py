import re

import pytest

from htdemucs_coreml.models.architecture import network_arguments, parameter_shapes
from htdemucs_coreml.models.registry import UnknownModelError, find_model, registry


@pytest.mark.parametrize("name", registry())
def test_every_architecture_names_arguments_of_htdemucs(name: str) -> None:
    entry = find_model(name)
    assert entry.architecture.keys() <= network_arguments(entry).keys()


@pytest.mark.parametrize("name", registry())
def test_published_weights_are_pinned_by_size_and_sha256(name: str) -> None:
    weights = find_model(name).weights
    if weights is not None:
        assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
        assert weights.bytes > 0
        assert weights.url.endswith(weights.file)


def test_htdemucs_6s_has_the_published_number_of_parameters() -> None:
    shapes = parameter_shapes(find_model("htdemucs_6s"))
    total = 0
    for shape in shapes.values():
        count = 1
        for size in shape:
            count *= size
        total += count
    assert total == 27_414_996


def test_the_fixture_has_the_architecture_of_htdemucs_6s() -> None:
    assert parameter_shapes(find_model("fixture")) == parameter_shapes(find_model("htdemucs_6s"))


def test_an_unknown_model_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match="htdemucs_6s, fixture"):
        find_model("htdemucs_7s")
