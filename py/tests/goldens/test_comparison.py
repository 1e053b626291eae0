"""A difference between two folders of goldens is found, and the golden named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from htdemucs_coreml.goldens.__main__ import main
from htdemucs_coreml.goldens.comparison import first_difference
from htdemucs_coreml.goldens.errors import GoldenDigestError
from htdemucs_coreml.goldens.writing import new_goldens


def write(folder: Path, *, last: float = 3.0, scale: str = "none", names: str = "ab") -> Path:
    with new_goldens(folder) as writer:
        for name in names:
            values = np.array([[0.0, 1.0], [2.0, last if name == "b" else 3.0]])
            writer.add(name, values, axes=("row", "column"), scale=scale, generator="py/tests/goldens")
    return folder


@pytest.fixture
def expected(tmp_path: Path) -> Path:
    return write(tmp_path / "expected")


def test_equal_folders_do_not_differ(expected: Path, tmp_path: Path) -> None:
    assert first_difference(expected, write(tmp_path / "actual", names="ba")) is None


def test_a_changed_value_is_named_with_its_position(expected: Path, tmp_path: Path) -> None:
    difference = first_difference(expected, write(tmp_path / "actual", last=np.nextafter(3.0, 4.0)))
    assert difference is not None
    assert difference.startswith("golden b: ")
    assert "in 1 values, first at [1, 1]: np.float64(3.0) there, np.float64(3.0000000000000004) computed" in difference


def test_a_changed_description_is_named(expected: Path, tmp_path: Path) -> None:
    difference = first_difference(expected, write(tmp_path / "actual", scale="decibels"))
    assert difference == "golden a: manifest.json describes it otherwise: scale"


def test_a_golden_on_one_side_only_is_named(expected: Path, tmp_path: Path) -> None:
    assert first_difference(expected, write(tmp_path / "more", names="abc")) == f"golden c: only in {tmp_path / 'more'}"
    assert first_difference(expected, write(tmp_path / "less", names="a")) == f"golden b: only in {expected}"


def test_a_damaged_expected_file_is_named(expected: Path, tmp_path: Path) -> None:
    actual = Path(shutil.copytree(expected, tmp_path / "actual"))
    (expected / "b.f64").write_bytes(bytes(32))
    assert "b.f64 differs in 3 values" in str(first_difference(expected, actual))
    (expected / "b.f64").unlink()
    assert "b.f64 has 0 bytes, not 32" in str(first_difference(expected, actual))


def test_a_stray_file_and_another_layout_of_the_manifest_are_named(expected: Path, tmp_path: Path) -> None:
    actual = Path(shutil.copytree(expected, tmp_path / "actual"))
    (expected / "stray").touch()
    assert "stray belongs to no golden" in str(first_difference(expected, actual))
    (expected / "stray").unlink()
    manifest = expected / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text())))
    assert first_difference(expected, actual) == "manifest.json: says the same in other bytes"


def test_computed_goldens_that_contradict_their_manifest_are_an_error(expected: Path, tmp_path: Path) -> None:
    actual = Path(shutil.copytree(expected, tmp_path / "actual"))
    (actual / "a.f64").write_bytes(bytes(32))
    with pytest.raises(GoldenDigestError, match=r"a\.f64"):
        first_difference(expected, actual)


def test_the_command_says_so_and_fails(expected: Path, tmp_path: Path) -> None:
    same = CliRunner().invoke(main, ["check", str(expected), str(expected)])
    assert (same.exit_code, same.output) == (0, "2 goldens, 64 bytes: as committed\n")
    other = write(tmp_path / "actual", last=4.0)
    changed = CliRunner().invoke(main, ["check", str(expected), str(other)])
    assert changed.exit_code == 1
    assert "golden b" in str(changed.exception)
