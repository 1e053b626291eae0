import json
import shutil
from pathlib import Path

import pytest
from coremltools.proto import Model_pb2
from jsonschema import Draft202012Validator

from committed_goldens import REPOSITORY
from htdemucs_coreml.package.contents import differences, list_contents
from htdemucs_coreml.package.layout import WEIGHT_BIN
from htdemucs_coreml.package.lock import LockEntry, LockError, compare_with_lock, drop_reason, read_lock, update_lock
from htdemucs_coreml.package.reader import read_package
from package_edits import edit_model, first_value_offset, operation

NAME = "mlpackages.fixture.float32"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"version": 2, "artefacts": {}, "unconfirmed": {"other": "no"}}))
    return path


def found_in(lock: Path, name: str) -> LockEntry:
    entry = read_lock(lock).find(name)
    assert entry is not None
    return entry


@pytest.fixture
def contents(tmp_path: Path) -> Path:
    return tmp_path / "contents" / f"{NAME}.txt"


@pytest.fixture
def package(small_package: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.mlpackage"
    shutil.copytree(small_package, copy)
    return copy


def test_a_package_agrees_with_the_entry_made_from_it(package: Path, lock: Path, contents: Path) -> None:
    digest = update_lock(package, NAME, lock, contents).after
    verdict = compare_with_lock(package, found_in(lock, NAME), contents)
    assert verdict.confirmed
    assert verdict.differences == ()
    assert verdict.sha256 == digest == read_package(package).digest


def test_updating_one_entry_keeps_the_others(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)
    assert found_in(lock, "other") == LockEntry(files=None, reason="no")


def test_a_changed_weight_is_named_by_its_constant(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)
    start = first_value_offset(package, "time_decoder_0__rewrite__conv__weight")
    weights = bytearray((package / WEIGHT_BIN).read_bytes())
    weights[start + 3] ^= 1
    (package / WEIGHT_BIN).write_bytes(weights)
    edit_model(package)

    found = "\n".join(compare_with_lock(package, found_in(lock, NAME), contents).differences)
    assert "file Data/com.apple.CoreML/weights/weight.bin: expected sha256" in found
    assert "constant time_decoder_0__rewrite__conv__weight: expected float32[" in found
    assert "constant time_decoder_1" not in found


def test_a_changed_operation_is_named(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)

    def approximate(model: Model_pb2.Model) -> None:
        mode = operation(model, "time_encoder_0__gelu__mode").attributes["val"].immediateValue.tensor.strings
        mode.values[0] = "TANH_APPROXIMATION"

    edit_model(package, approximate)

    found = compare_with_lock(package, found_in(lock, NAME), contents).differences
    assert [line for line in found if line.startswith("operation time_encoder_0__gelu:")]


@pytest.mark.parametrize("part", ["model", "main"])
def test_a_change_beside_operations_and_metadata_is_named(package: Path, lock: Path, contents: Path, part: str) -> None:
    update_lock(package, NAME, lock, contents)

    def edit(model: Model_pb2.Model) -> None:
        if part == "model":
            model.description.input[0].shortDescription += "!"
        else:
            model.mlProgram.functions["main"].attributes["added"].docString = "!"

    edit_model(package, edit)
    found = compare_with_lock(package, found_in(lock, NAME), contents).differences
    assert [line.split(":")[0] for line in found] == [
        "file Data/com.apple.CoreML/model.mlmodel",
        "metadata model_sha256",
        f"interface {part}",
    ]


def test_a_damaged_package_is_said_to_be_damaged(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, NAME, lock, contents)
    weights = bytearray((package / WEIGHT_BIN).read_bytes())
    weights[-1] ^= 1
    (package / WEIGHT_BIN).write_bytes(weights)
    found = compare_with_lock(package, found_in(lock, NAME), contents).differences
    assert "weight.bin: expected sha256" in found[0]
    assert "is damaged" in found[1]
    assert found[2].startswith("constant ")
    assert len(found) == 3


def test_a_confirmed_artefact_has_no_reason(package: Path, lock: Path, contents: Path) -> None:
    update_lock(package, "other", lock, contents)
    assert read_lock(lock).unconfirmed == {}


def test_updating_says_what_was_what_is_and_what_changed_inside(package: Path, lock: Path, contents: Path) -> None:
    first = update_lock(package, NAME, lock, contents)
    assert first.before is None

    def approximate(model: Model_pb2.Model) -> None:
        mode = operation(model, "time_encoder_0__gelu__mode").attributes["val"].immediateValue.tensor.strings
        mode.values[0] = "TANH_APPROXIMATION"

    edit_model(package, approximate)
    second = update_lock(package, NAME, lock, contents)
    assert (second.before, second.after) == (first.after, read_package(package).digest)
    kinds = [line.split(":")[0] for line in second.differences]
    assert kinds == [
        "file Data/com.apple.CoreML/model.mlmodel",
        "metadata model_sha256",
        "operation time_encoder_0__gelu",
    ]


def test_updating_with_what_is_locked_already_changes_nothing_and_says_so(
    package: Path, lock: Path, contents: Path
) -> None:
    first = update_lock(package, NAME, lock, contents)
    before = (lock.read_bytes(), contents.read_bytes())
    second = update_lock(package, NAME, lock, contents)
    assert (second.before, second.after, second.differences) == (first.after, first.after, ())
    assert (lock.read_bytes(), contents.read_bytes()) == before


def test_a_damaged_package_is_not_locked(package: Path, lock: Path, contents: Path) -> None:
    before = lock.read_bytes()
    weights = bytearray((package / WEIGHT_BIN).read_bytes())
    weights[-1] ^= 1
    (package / WEIGHT_BIN).write_bytes(weights)
    with pytest.raises(LockError, match=r"cannot be locked: .* is damaged"):
        update_lock(package, NAME, lock, contents)
    assert lock.read_bytes() == before
    assert not contents.exists()


def test_an_artefact_that_is_not_there_is_named(lock: Path, contents: Path, tmp_path: Path) -> None:
    with pytest.raises(LockError, match="nowhere cannot be read"):
        update_lock(tmp_path / "nowhere", NAME, lock, contents)


def test_a_malformed_lock_is_not_updated(package: Path, contents: Path, tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text("{}")
    with pytest.raises(LockError, match="not a valid lock"):
        update_lock(package, NAME, tmp_path / "lock.json", contents)


def test_an_entry_without_digests_is_unconfirmed_and_says_why(package: Path, lock: Path, contents: Path) -> None:
    verdict = compare_with_lock(package, found_in(lock, "other"), contents)
    assert not verdict.confirmed
    assert verdict.differences == ()
    assert verdict.reason == "no"


def test_a_reason_holds_for_all_names_with_one_part_more_that_have_no_entry_of_their_own(
    package: Path, lock: Path, contents: Path
) -> None:
    update_lock(package, "other.confirmed", lock, contents)
    assert found_in(lock, "other.confirmed").files is not None
    assert found_in(lock, "other.next") == LockEntry(files=None, reason="no")
    assert read_lock(lock).find("other.next.but_one") is None
    assert read_lock(lock).find("another") is None


def test_a_reason_of_its_own_ends_with_the_entry_and_one_for_several_when_it_is_dropped(
    package: Path, lock: Path, contents: Path
) -> None:
    update_lock(package, "other.confirmed", lock, contents)
    assert read_lock(lock).unconfirmed == {"other": "no"}
    assert drop_reason("other", lock) == "no"
    assert drop_reason("other", lock) is None
    assert read_lock(lock).unconfirmed == {}
    assert set(read_lock(lock).artefacts) == {"other.confirmed"}


def test_a_single_file_can_be_locked(lock: Path, contents: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(b"1")
    update_lock(file, "weights", lock, contents)
    assert compare_with_lock(file, found_in(lock, "weights"), contents).confirmed
    file.write_bytes(b"2")
    assert not compare_with_lock(file, found_in(lock, "weights"), contents).confirmed


def table(**changes: object) -> dict[str, object]:
    return {"version": 2, "artefacts": {}, "unconfirmed": {}} | changes


def with_file(path: str = ".", digest: object = "0" * 64) -> dict[str, object]:
    return table(artefacts={"an.artefact": {"files": {path: digest}}})


SCHEMA = Draft202012Validator(json.loads((REPOSITORY / "goldens" / "lock.schema.json").read_bytes()))


def is_accepted(content: dict[str, object], folder: Path) -> bool:
    (folder / "lock.json").write_text(json.dumps(content))
    try:
        read_lock(folder / "lock.json")
    except LockError as error:
        assert "not a valid lock" in str(error)
        return False
    return True


@pytest.mark.parametrize(
    "content",
    [table(), with_file(), with_file("a/.b/..c"), with_file("Manifest.json"), table(unconfirmed={"a-b_c.d": "no"})],
    ids=json.dumps,
)
def test_the_schema_and_the_reader_accept_a_lock(tmp_path: Path, content: dict[str, object]) -> None:
    assert SCHEMA.is_valid(content)
    assert is_accepted(content, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"version": 2, "artefacts": {}},
        table(version=1),
        table(version=True),
        table(version="2"),
        table(more={}),
        table(artefacts=[]),
        table(artefacts={"a": {"files": {}}}),
        table(artefacts={"a": {"files": None, "reason": "no"}}),
        table(artefacts={"../a": {"files": {".": "0" * 64}}}),
        table(artefacts={"": {"files": {".": "0" * 64}}}),
        with_file(digest="0" * 63),
        with_file(digest="0" * 63 + "F"),
        with_file(digest="0" * 64 + "\n"),
        with_file(digest=0),
        *(with_file(path) for path in ("", "/a", "a/", "a//b", "../a", "a/..", "a/./b", "./a", "..")),
        table(unconfirmed={"a": ""}),
        table(unconfirmed={"a": None}),
        table(unconfirmed={"a.": "no"}),
    ],
    ids=json.dumps,
)
def test_the_schema_and_the_reader_refuse_what_is_no_lock(tmp_path: Path, content: dict[str, object]) -> None:
    assert not SCHEMA.is_valid(content)
    assert not is_accepted(content, tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", '{"version": 2, "artefacts": {}, "unconfirmed": {"a": "no", "a": "yes"}}', "[" * 100_000],
)
def test_a_lock_that_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    with pytest.raises(LockError, match="not a valid lock"):
        read_lock(tmp_path / "lock.json")


def test_a_damaged_listing_of_contents_is_compared_like_any_other() -> None:
    before = ["operation x 12", "nothing", "constant"]
    assert not list(differences(before, before))
    assert list(differences(before, before[:1])) == ["nothing: expected , got none", "constant: expected , got none"]


def test_a_listing_has_a_line_for_each_item_whatever_names_it_lists(package: Path) -> None:
    expected = len(list_contents(read_package(package)))

    def rename(model: Model_pb2.Model) -> None:
        changed = operation(model, "time_encoder_0__gelu")
        changed.outputs[0].name = "two\nlines"
        changed.outputs[0].type.tensorType.dataType = 999
        constant = operation(model, "time_decoder_0__rewrite__conv__weight")
        constant.outputs[0].type.tensorType.dataType = 999

    edit_model(package, rename)
    listing = list_contents(read_package(package))
    assert len(listing) == expected
    assert not any("\n" in line for line in listing)
    assert any(line.startswith("constant time_decoder_0__rewrite__conv__weight type999[") for line in listing)


def test_a_listing_names_every_operation_once(package: Path) -> None:
    keys = [line.split(" ", 2)[:2] for line in list_contents(read_package(package))]
    assert len({tuple(key) for key in keys}) == len(keys)
