"""The commands that make and examine packages: convert, canonicalise, verify, info, inspect."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import htdemucs_coreml.cli.info as info_module
import htdemucs_coreml.cli.verify as verify_module
from htdemucs_coreml.cli.canonicalise import command as canonicalise
from htdemucs_coreml.cli.convert import command as convert
from htdemucs_coreml.cli.info import command as info
from htdemucs_coreml.cli.inspect import command as inspect
from htdemucs_coreml.cli.verify import command as verify
from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.verification import Verification, VerificationError
from htdemucs_coreml.weights.content import WeightsError
from small_model import SMALL_ENTRY


def run(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_info_says_what_a_package_is(small_package: Path) -> None:
    result = run(info, small_package)
    package = read_package(small_package)
    assert result.exit_code == 0
    for text in ("drums, bass, other, vocals, guitar, piano", package.digest, "float32 [1, 6, 2, 2048, 11]"):
        assert text in result.output


def test_info_as_json_is_one_object_with_the_same_facts(small_package: Path) -> None:
    table = json.loads(run(info, small_package, "--json").output)
    package = read_package(small_package)
    assert table["sha256"] == package.digest
    assert table["bytes"] == sum(file.stat().st_size for file in small_package.rglob("*") if file.is_file())
    assert table["metadata"]["sources"] == list(SMALL_ENTRY.sources)
    assert table["inputs"]["waveform"] == [1, 2, package.metadata.segment_samples]


def test_info_escapes_control_codes_of_metadata(small_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = read_package(small_package)
    hostile = replace(package, metadata=replace(package.metadata, variant="a\x1b[2J\nsha256  0"))
    monkeypatch.setattr(info_module, "read_package", lambda _: hostile)
    assert "  a\\x1b[2J\\nsha256  0\n" in run(info, small_package).output


@pytest.mark.parametrize("bass_db", [109.9, -math.inf])
def test_verify_fails_after_its_table_where_a_stem_is_below_the_floor(
    small_package: Path, monkeypatch: pytest.MonkeyPatch, bass_db: float
) -> None:
    stems = {"bass": bass_db, "drums": 120.0}
    verification = Verification(read_package(small_package), {"stems_real": 120.0}, {"stems_real": True}, stems)
    monkeypatch.setattr(verify_module, "verify_package", lambda *_: verification)
    result = run(verify, small_package)
    assert isinstance(result.exception, VerificationError)
    assert f"the worst stem, bass, is {bass_db:.1f} dB from it (floor 110 dB)" in str(result.exception)
    assert result.output.splitlines()[-1].split() == ["drums", "120.0", "dB"]


def test_verify_names_outputs_that_are_outside_of_tolerance(
    small_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = {"stems_real": True, "stems_waveform": False}
    verification = Verification(read_package(small_package), dict.fromkeys(within, 120.0), within, {"bass": 120.0})
    monkeypatch.setattr(verify_module, "verify_package", lambda *_: verification)
    result = run(verify, small_package)
    assert isinstance(result.exception, VerificationError)
    assert "outside of tolerance: stems_waveform;" in str(result.exception)


def test_a_folder_in_place_of_weights_is_a_bad_input(small_package: Path, tmp_path: Path) -> None:
    result = run(verify, small_package, "--weights", tmp_path)
    assert isinstance(result.exception, WeightsError)


def test_inspect_counts_operations_and_constants(small_package: Path) -> None:
    table = json.loads(run(inspect, small_package, "--json", "--largest", 3).output)
    assert table["operations"] == sum(table["operations_by_type"].values())
    assert table["operations_by_dtype"] == {"float32": table["operations"]}
    assert table["multiply_adds"] == sum(table["multiply_adds_by_type"].values()) > 0
    assert len(table["largest_constants"]) == 3
    assert 0 < table["constant_bytes"] < table["bytes"]
    assert table["peak_memory"]["bytes"] > 0
    assert "frequency_encoder_0" in table["constant_bytes_by_block"]


def test_inspect_prints_the_same_as_tables(small_package: Path) -> None:
    table = json.loads(run(inspect, small_package, "--json").output)
    output = run(inspect, small_package).output
    assert f"operations         {table['operations']}" in output
    assert "scaled_dot_product_attention" in output


@pytest.mark.parametrize("command", [info, inspect])
def test_a_damaged_package_is_refused(small_package: Path, tmp_path: Path, command: click.Command) -> None:
    damaged = tmp_path / "damaged.mlpackage"
    shutil.copytree(small_package, damaged)
    content = bytearray((damaged / WEIGHT_BIN).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / WEIGHT_BIN).write_bytes(content)
    result = run(command, damaged)
    assert isinstance(result.exception, PackageError)
    assert "weight.bin has sha256" in str(result.exception)


def test_convert_refuses_another_ending_as_wrong_usage(tmp_path: Path) -> None:
    result = run(convert, "--output", tmp_path / "package.mlmodel")
    assert result.exit_code == 2
    assert "has to end in .mlpackage" in result.output


def test_canonicalise_tells_the_digest_of_what_it_wrote(small_package: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mlpackage"
    result = run(canonicalise, small_package, "-o", output)
    package = read_package(small_package)
    assert result.output == f"{output}  {package.bytes / 1e6:.1f} MB  sha256 {package.digest}\n"
    assert read_package(output).digest == package.digest


def test_canonicalise_refuses_another_ending_as_wrong_usage(small_package: Path, tmp_path: Path) -> None:
    result = run(canonicalise, small_package, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "has to end in .mlpackage" in result.output


def test_convert_asks_for_published_weights_and_writes_nothing(tmp_path: Path) -> None:
    result = run(convert, "--model", "htdemucs_6s", "-o", tmp_path / "x.mlpackage")
    assert isinstance(result.exception, WeightsError)
    assert "5c90dfd2.safetensors" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_convert_makes_no_package_of_a_bag_and_names_its_members(tmp_path: Path) -> None:
    result = run(convert, "--model", "htdemucs_ft", "-o", tmp_path / "x.mlpackage")
    assert result.exit_code == 2
    message = " ".join(result.output.split())
    assert "is a bag of models: convert each of htdemucs_ft_drums, htdemucs_ft_bass, htdemucs_ft_other" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [("--model", "htdemucs_7s"), ("--variant", "float64")])
def test_convert_names_what_can_be_chosen(tmp_path: Path, option: tuple[str, str]) -> None:
    result = run(convert, *option, "-o", tmp_path / "x.mlpackage")
    assert result.exit_code == 2
    assert "is not one of" in result.output
