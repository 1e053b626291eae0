"""The commands that make, examine and copy packages: convert, canonicalise, verify, info, inspect, export."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import htdemucs_coreml.cli.convert as convert_module
import htdemucs_coreml.cli.export as export_module
import htdemucs_coreml.cli.info as info_module
import htdemucs_coreml.cli.verify as verify_module
from htdemucs_coreml.backends.base import BackendError
from htdemucs_coreml.backends.loading import PACKAGES_VARIABLE
from htdemucs_coreml.cli.canonicalise import command as canonicalise
from htdemucs_coreml.cli.convert import command as convert
from htdemucs_coreml.cli.export import command as export
from htdemucs_coreml.cli.info import command as info
from htdemucs_coreml.cli.inspect import command as inspect
from htdemucs_coreml.cli.verify import LOCK_VARIABLE
from htdemucs_coreml.cli.verify import command as verify
from htdemucs_coreml.compress.plans import CompressionPlanError
from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.package.lock import LockError, update_lock
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.precision.plans import PlanError
from htdemucs_coreml.verification import Requirement, Verification, VerificationError
from htdemucs_coreml.weights.content import WeightsError
from package_edits import edit_model, first_value_offset
from small_model import SHORT_VARIANT, SMALL_ENTRY


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


@pytest.fixture
def sound(small_package: Path, monkeypatch: pytest.MonkeyPatch) -> Verification:
    """Stands in for the comparison with PyTorch, and has it agree; without a lock, unless a test gives one."""
    verification = Verification(
        package=read_package(small_package),
        output_snr_db={"stems_real": 120.0},
        output_within_tolerance={"stems_real": True},
        stem_snr_db={"bass": 119.0, "drums": math.inf},
        requirement=Requirement(110, every_element=True),
    )
    monkeypatch.setattr(verify_module, "verify_package", lambda *_: verification)
    monkeypatch.delenv(LOCK_VARIABLE, raising=False)
    return verification


@pytest.fixture
def lock(small_package: Path, tmp_path: Path) -> Path:
    """A lock with the small package's digests, and its listing."""
    path = tmp_path / "goldens" / "lock.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {}}))
    update_lock(small_package, NAME, path, path.parent / "contents" / f"{NAME}.txt")
    return path


NAME = f"mlpackages.{SMALL_ENTRY.name}.{SHORT_VARIANT.name}"


def changed_package(small_package: Path, folder: Path) -> Path:
    """The small package with one weight changed and digests that fit."""
    package = folder / "changed.mlpackage"
    shutil.copytree(small_package, package)
    start = first_value_offset(package, "frequency_encoder_0__conv__conv__weight")
    content = bytearray((package / WEIGHT_BIN).read_bytes())
    content[start] ^= 1
    (package / WEIGHT_BIN).write_bytes(content)
    edit_model(package)
    return package


@pytest.mark.usefixtures("sound")
def test_verify_says_what_was_compared(small_package: Path, lock: Path) -> None:
    result = run(verify, small_package, "--lock", lock)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[1] == f"sha256   {read_package(small_package).digest}"
    assert lines[2] == "digests  compared: its files are those that its metadata names"
    assert lines[3] == f"lock     compared: every file has the sha256 of {NAME} in {lock}"
    assert lines[4] == "PyTorch  compared: the worst stem, bass, is 119.0 dB from it"
    assert lines[-1] == "verified: layout and digests, lock, PyTorch"


@pytest.mark.usefixtures("sound")
def test_verify_takes_the_lock_of_the_environment(
    small_package: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCK_VARIABLE, str(lock))
    assert run(verify, small_package).output.endswith("verified: layout and digests, lock, PyTorch\n")
    monkeypatch.setenv(LOCK_VARIABLE, "")
    assert run(verify, small_package).output.endswith("verified: layout and digests, PyTorch\n")


def null_entry(lock: Path) -> None:
    lock.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {NAME: "nobody built one"}}))


def no_entry(lock: Path) -> None:
    lock.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {}}))


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize(
    ("change", "reason"),
    [(null_entry, f"holds no digest for {NAME}: nobody built one"), (no_entry, f"has no entry {NAME}")],
)
def test_verify_says_why_a_lock_was_not_compared(
    small_package: Path, lock: Path, change: Callable[[Path], None], reason: str
) -> None:
    change(lock)
    result = run(verify, small_package, "--lock", lock)
    assert result.exit_code == 0
    assert f"lock     not compared: {lock} {reason}\n" in result.output
    assert result.output.endswith("verified: layout and digests, PyTorch\n")


@pytest.mark.usefixtures("sound")
def test_verify_says_that_there_is_no_lock(small_package: Path) -> None:
    assert "lock     not compared: no lock was given\n" in run(verify, small_package).output


@pytest.mark.usefixtures("sound")
def test_verify_names_what_differs_from_the_lock(small_package: Path, lock: Path, tmp_path: Path) -> None:
    package = changed_package(small_package, tmp_path)
    result = run(verify, package, "--lock", lock)
    assert isinstance(result.exception, VerificationError)
    assert str(result.exception).startswith(
        f"{package} is not what it has to be: it is not {NAME} of {lock}, see above"
    )
    assert f"lock     compared: DIFFERS from {NAME} in {lock}" in result.output
    differences = [line.split(":")[0] for line in result.output.splitlines() if ": expected" in line]
    assert f"  file {WEIGHT_BIN}" in differences
    assert "  constant frequency_encoder_0__conv__conv__weight" in differences
    assert "verified" not in result.output


@pytest.mark.parametrize("bass_db", [109.9, -math.inf, math.nan])
def test_verify_fails_after_its_lines_where_a_stem_is_below_the_floor(
    small_package: Path, lock: Path, sound: Verification, monkeypatch: pytest.MonkeyPatch, bass_db: float
) -> None:
    verification = replace(sound, stem_snr_db={"bass": bass_db, "drums": 120.0})
    monkeypatch.setattr(verify_module, "verify_package", lambda *_: verification)
    result = run(verify, small_package, "--lock", lock)
    assert isinstance(result.exception, VerificationError)
    assert f"the worst stem, bass, is {bass_db:.1f} dB from it (floor 110 dB)" in str(result.exception)
    assert "BELOW 110" in result.output
    assert "verified" not in result.output


def test_verify_names_outputs_that_are_outside_of_tolerance(
    small_package: Path, sound: Verification, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = {"stems_real": True, "stems_waveform": False}
    verification = replace(sound, output_snr_db=dict.fromkeys(within, 120.0), output_within_tolerance=within)
    monkeypatch.setattr(verify_module, "verify_package", lambda *_: verification)
    result = run(verify, small_package)
    assert isinstance(result.exception, VerificationError)
    assert "outside of tolerance: stems_waveform;" in str(result.exception)


@pytest.fixture
def published(small_package: Path, tmp_path: Path) -> Path:
    """The small package under the name of a model whose weights are published."""
    package = tmp_path / "published.mlpackage"
    shutil.copytree(small_package, package)
    edit_model(package, lambda model: model.description.metadata.userDefined.update({"model": "htdemucs_6s"}))
    return package


@pytest.mark.usefixtures("sound")
def test_verify_without_weights_compares_with_the_lock_alone(published: Path, lock: Path) -> None:
    name = f"mlpackages.htdemucs_6s.{SHORT_VARIANT.name}"
    update_lock(published, name, lock, lock.parent / "contents" / f"{name}.txt")
    result = run(verify, published, "--lock", lock)
    assert result.exit_code == 0
    assert (
        "PyTorch  not compared: the weights of htdemucs_6s were neither given nor fetched: give them with --weights"
        in result.output
    )
    assert result.output.endswith("verified: layout and digests, lock\n")


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("option", [("--floor", 100), ("--sha256", "0" * 64)])
def test_verify_does_not_drop_options_about_what_it_cannot_compare(
    published: Path, lock: Path, option: tuple[str, object]
) -> None:
    name = f"mlpackages.htdemucs_6s.{SHORT_VARIANT.name}"
    update_lock(published, name, lock, lock.parent / "contents" / f"{name}.txt")
    result = run(verify, published, "--lock", lock, *option)
    assert isinstance(result.exception, VerificationError)
    assert "with which nothing is compared" in str(result.exception)


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("with_lock", [False, True])
def test_verify_with_nothing_to_compare_with_is_an_error_that_says_what_to_give(
    published: Path, lock: Path, with_lock: bool
) -> None:
    result = run(verify, published, *(["--lock", lock] if with_lock else []))
    assert isinstance(result.exception, VerificationError)
    message = str(result.exception)
    assert message.startswith(f"there is nothing to compare {published} with: ")
    assert "the weights of htdemucs_6s were neither given nor fetched" in message
    assert message.endswith("give them with --weights; or give a lock that has it with --lock")


def test_a_model_that_the_registry_lacks_is_nothing_to_compare_with(
    small_package: Path, tmp_path: Path, sound: Verification
) -> None:
    del sound
    package = tmp_path / "other.mlpackage"
    shutil.copytree(small_package, package)
    edit_model(package, lambda model: model.description.metadata.userDefined.update({"model": "of_others"}))
    result = run(verify, package)
    assert isinstance(result.exception, VerificationError)
    assert "this version knows no model of_others" in str(result.exception)


@pytest.mark.usefixtures("sound")
def test_verify_as_json_is_one_object_with_the_same_facts(small_package: Path, lock: Path, tmp_path: Path) -> None:
    table = json.loads(run(verify, small_package, "--lock", lock, "--json").stdout)
    assert table["sha256"] == read_package(small_package).digest
    assert table["agrees"]
    assert table["lock"] == {
        "compared": True,
        "name": NAME,
        "reason": None,
        "lock": str(lock),
        "agrees": True,
        "differences": [],
    }
    assert table["pytorch"]["compared"]
    assert table["pytorch"]["stem_snr_db"] == {"bass": 119.0, "drums": None}
    result = run(verify, changed_package(small_package, tmp_path), "--lock", lock, "--json")
    assert isinstance(result.exception, VerificationError)
    table = json.loads(result.stdout)
    assert not table["agrees"]
    assert any("constant frequency_encoder_0" in each for each in table["lock"]["differences"])


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("content", ["", "{", '{"version": 2, "artefacts": {}}', "[]"])
def test_verify_refuses_what_is_no_lock(small_package: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    result = run(verify, small_package, "--lock", tmp_path / "lock.json")
    assert isinstance(result.exception, LockError)


def test_a_folder_in_place_of_weights_is_a_bad_input(small_package: Path, tmp_path: Path) -> None:
    result = run(verify, small_package, "--weights", tmp_path)
    assert isinstance(result.exception, WeightsError)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_export_copies_a_package_as_plain_writable_files(small_package: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.mlpackage"
    shutil.copytree(small_package, source)
    for item in source.rglob("*"):
        item.chmod(0o555 if item.is_dir() else 0o444)
    result = run(export, tmp_path / "new" / "deep", "--package", source)
    copy = tmp_path / "new" / "deep" / f"{NAME.removeprefix('mlpackages.')}.mlpackage"
    assert (result.exit_code, result.output) == (0, f"{copy}\n")
    assert tree(copy) == tree(source)
    assert {item.stat().st_mode & 0o777 for item in copy.rglob("*") if item.is_file()} == {0o644}
    assert {item.stat().st_mode & 0o777 for item in (copy, *copy.rglob("*")) if item.is_dir()} == {0o755}
    assert [item.name for item in copy.parent.iterdir()] == [copy.name]


@pytest.mark.parametrize("options", [[], ["--variant", "float32-7_8s"], ["--model", "fixture"]])
def test_export_finds_packages_by_model_and_variant(
    small_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    variant = options[1] if "--variant" in options else "mixed"
    (tmp_path / "store").mkdir()
    # As in Nix's store: a link to the package.
    (tmp_path / "store" / f"fixture.{variant}.mlpackage").symlink_to(small_package)
    monkeypatch.setenv(PACKAGES_VARIABLE, str(tmp_path / "store"))
    assert run(export, tmp_path, *options).exit_code == 0


def test_export_says_how_to_make_a_package_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PACKAGES_VARIABLE, raising=False)
    result = run(export, tmp_path, "--variant", "float32-7_8s")
    assert isinstance(result.exception, BackendError)
    assert "htdemucs-coreml convert --model fixture --variant float32-7_8s" in str(result.exception)


def test_export_finds_packages_in_a_folder_that_is_named(small_package: Path, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "fixture.float32.mlpackage").symlink_to(small_package)
    assert run(export, tmp_path, "--packages", tmp_path / "packages", "--variant", "float32").exit_code == 0
    assert run(export, tmp_path, "--model", "htdemucs_7s").exit_code == 2


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_export_replaces_nothing(small_package: Path, tmp_path: Path, make: Callable[[Path], object]) -> None:
    target = tmp_path / f"{NAME.removeprefix('mlpackages.')}.mlpackage"
    make(target)
    result = run(export, tmp_path, "--package", small_package)
    assert isinstance(result.exception, PackageError)
    assert str(result.exception) == f"{target} is there already; remove it or name another folder"


def test_export_refuses_options_that_say_the_same_thing_twice(small_package: Path, tmp_path: Path) -> None:
    for option in (["--model", "fixture"], ["--variant", "float32"]):
        result = run(export, tmp_path, "--package", small_package, *option)
        assert result.exit_code == 2
        assert "--package excludes --model, --variant and --packages" in result.output


def test_export_writes_nothing_of_a_package_that_changes_meanwhile(
    small_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = read_package(small_package)
    other = replace(package, sha256={**package.sha256, WEIGHT_BIN: "0" * 64})
    monkeypatch.setattr(export_module, "read_package", lambda _: other)
    result = run(export, tmp_path / "out", "--package", small_package)
    assert isinstance(result.exception, PackageError)
    assert "changed while it was copied" in str(result.exception)
    assert list((tmp_path / "out").iterdir()) == []


def test_export_refuses_a_package_whose_name_leads_elsewhere(
    small_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = read_package(small_package)
    hostile = replace(package, metadata=replace(package.metadata, model="../../escape"))
    monkeypatch.setattr(export_module, "read_package", lambda _: hostile)
    result = run(export, tmp_path / "out", "--package", small_package)
    assert isinstance(result.exception, PackageError)
    assert "cannot be the name of a file" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_export_into_a_file_is_an_error(small_package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(export, tmp_path / "file", "--package", small_package)
    assert isinstance(result.exception, PackageError)
    assert "cannot be written" in str(result.exception)


@pytest.mark.parametrize("command", [info, inspect, verify])
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


@pytest.mark.parametrize(
    ("options", "plan", "segment_samples"),
    [
        ([], "mixed", 441_000),
        (["--variant", "float32-7_8s"], "float32", 343_980),
        (["--plan-file", "mine.toml"], "mine", 441_000),
        (["--plan-file", "mine.toml", "--variant", "float32-7_8s"], "mine", 343_980),
    ],
)
def test_convert_takes_the_default_variant_or_float32_under_a_plan_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], plan: str, segment_samples: int
) -> None:
    converted: list[Variant] = []
    monkeypatch.setattr(convert_module, "load_weights", lambda *_: None)
    monkeypatch.setattr(convert_module, "convert_checkpoint", lambda _, variant, __: converted.append(variant))
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('summary = "mine"\ndefault = "float32"\n')
    run(convert, *options, "-o", "x.mlpackage")
    (variant,) = converted
    assert (variant.plan.name, variant.segment_samples) == (plan, segment_samples)


def test_convert_refuses_a_plan_file_beside_a_variant_that_has_a_plan(tmp_path: Path) -> None:
    arguments = ("--variant", "float16", "--plan-file", tmp_path / "mine.toml", "-o", tmp_path / "x.mlpackage")
    result = run(convert, *arguments)
    assert result.exit_code == 2
    assert "float16 has a plan of its own" in result.output


def test_convert_reads_the_plan_file_before_anything_is_spent(tmp_path: Path) -> None:
    plan = tmp_path / "mine.toml"
    plan.write_text("default = 1")
    result = run(convert, "--plan-file", plan, "-o", tmp_path / "x.mlpackage")
    assert isinstance(result.exception, PlanError)
    assert list(tmp_path.iterdir()) == [plan]


def test_convert_refuses_a_compression_file_beside_a_variant_that_is_compressed(tmp_path: Path) -> None:
    arguments = ("--variant", "palette6", "--compression-file", tmp_path / "mine.toml", "-o", tmp_path / "x.mlpackage")
    result = run(convert, *arguments)
    assert result.exit_code == 2
    assert "palette6 is compressed by a plan of its own" in result.output


def test_convert_reads_the_compression_file_before_anything_is_spent(tmp_path: Path) -> None:
    plan = tmp_path / "mine.toml"
    plan.write_text("default = 1")
    result = run(convert, "--variant", "mixed", "--compression-file", plan, "-o", tmp_path / "x.mlpackage")
    assert isinstance(result.exception, CompressionPlanError)
    assert list(tmp_path.iterdir()) == [plan]


def test_canonicalise_tells_the_digest_of_what_it_wrote(small_package: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mlpackage"
    result = run(canonicalise, small_package, "-o", output)
    package = read_package(small_package)
    assert result.output == f"{output}  {package.bytes / 1e6:.1f} MB  sha256 {package.digest}\n"
    assert read_package(output).digest == package.digest


@pytest.mark.parametrize("made_by", ["convert", "canonicalise"])
@pytest.mark.parametrize("name", ["a\x07b", "a\x9bb", "a\nb"])
def test_the_name_of_a_new_package_is_printed_without_control_characters(
    small_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by: str, name: str
) -> None:
    monkeypatch.setattr("htdemucs_coreml.cli.convert.load_weights", lambda *_: None)
    monkeypatch.setattr(
        "htdemucs_coreml.cli.convert.convert_checkpoint",
        lambda *arguments: shutil.copytree(small_package, arguments[2]),
    )
    make = partial(run, canonicalise, small_package) if made_by == "canonicalise" else partial(run, convert)
    made = make("-o", tmp_path / f"{name}.mlpackage")
    assert made.exit_code == 0
    assert made.output.startswith(f"{tmp_path}/{name.encode('unicode_escape').decode()}.mlpackage  ")
    refused = make("-o", tmp_path / name)
    assert refused.exit_code == 2
    assert f"{name.encode('unicode_escape').decode()} has to end in .mlpackage" in refused.output


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
