import shutil
from pathlib import Path

import numpy as np
import pytest
from coremltools.proto import Model_pb2

from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN
from package_edits import edit_model, first_value_offset, operation
from repro.differences import name_differences
from repro.errors import ReproductionError

CONSTANT = "time_decoder_0__rewrite__conv__weight"


@pytest.fixture
def folders(small_package: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same package."""
    for name in ("expected", "actual"):
        shutil.copytree(small_package, tmp_path / name / "float32.mlpackage")
    return tmp_path / "expected", tmp_path / "actual"


def test_nothing_differs_between_copies(folders: tuple[Path, Path]) -> None:
    assert name_differences(*folders) == []


def test_a_constant_is_named_with_its_first_differing_element(folders: tuple[Path, Path]) -> None:
    package = folders[1] / "float32.mlpackage"
    start = first_value_offset(package, CONSTANT)
    content = bytearray((package / WEIGHT_BIN).read_bytes())
    old, new = np.frombuffer(content, np.float32, 2, start), np.array([1.5, -2.5], np.float32)
    said = f"element [0, 0, 1] is 1.5, expected {old[1]!s};"
    del old
    content[start + 4 : start + 8] = new[:1].tobytes()
    (package / WEIGHT_BIN).write_bytes(content)
    edit_model(package)
    found = name_differences(*folders)
    assert found[0].startswith(f"float32.mlpackage/{MODEL}: byte ")
    assert found[1].startswith(f"float32.mlpackage/{WEIGHT_BIN}: byte ")
    assert len(found) == 3
    assert found[2].startswith(f"float32.mlpackage: constant {CONSTANT}: {said}")
    assert "; 1 of " in found[2]


def test_an_operation_and_metadata_are_named(folders: tuple[Path, Path]) -> None:
    def edit(model: Model_pb2.Model) -> None:
        mode = operation(model, "time_encoder_0__gelu__mode").attributes["val"].immediateValue.tensor.strings
        mode.values[0] = "TANH_APPROXIMATION"
        model.description.metadata.userDefined["variant"] = "float33"

    edit_model(folders[1] / "float32.mlpackage", edit)
    named = "\n".join(name_differences(*folders))
    assert "float32.mlpackage: metadata variant: expected float32, got float33" in named
    assert "float32.mlpackage: operation time_encoder_0__gelu: expected " in named
    assert "constant" not in named


def test_modes_and_files_are_compared(folders: tuple[Path, Path]) -> None:
    (folders[1] / "float32.mlpackage" / MODEL).chmod(0o600)
    (folders[1] / "more").touch()
    named = name_differences(*folders)
    assert f"float32.mlpackage/{MODEL}: mode 600, expected 644" in named
    assert "more: unexpected" in named
    assert len(named) == 2


def test_a_missing_file_is_named_and_ends_the_comparison_of_that_package_only(folders: tuple[Path, Path]) -> None:
    (folders[1] / "float32.mlpackage" / MANIFEST).unlink()
    named = name_differences(*folders)
    assert f"float32.mlpackage/{MANIFEST}: missing" in named
    assert any("the package is incomplete" in line for line in named)


def test_a_link_is_nothing_to_compare(folders: tuple[Path, Path]) -> None:
    (folders[1] / "link").symlink_to("float32.mlpackage")
    with pytest.raises(ReproductionError, match="link is neither a file nor a folder"):
        name_differences(*folders)
