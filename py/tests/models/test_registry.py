import re
from typing import Any

import pytest

from htdemucs_coreml.models.architecture import network_arguments, parameter_shapes
from htdemucs_coreml.models.registry import PublishedFile, UnknownModelError, find_model, registry
from htdemucs_coreml.weights.content import MAX_FILE_BYTES


@pytest.mark.parametrize("name", registry())
def test_every_architecture_names_arguments_of_htdemucs(name: str) -> None:
    entry = find_model(name)
    assert entry.architecture.keys() <= network_arguments(entry).keys()


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
