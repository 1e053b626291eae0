"""The legacy form: what upstream's serialiser writes is read, and anything else is refused without being run."""

import io
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from htdemucs_coreml.models.architecture import network_arguments
from htdemucs_coreml.weights.checkpoint import Checkpoint, load_checkpoint
from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.fixture import write_fixture_weights
from htdemucs_coreml.weights.pickle_machine import MAX_OPERATIONS, MAX_PICKLE_BYTES
from htdemucs_coreml.weights.torch_file import TorchFile, parse_torch_file
from legacy_weights import (
    archive_of,
    package_pickle,
    records_of,
    save_legacy_weights,
    serialised,
    state,
    storage,
    tensor,
    text,
    with_pickle,
)
from small_model import SMALL_ENTRY

PATH = Path("model.th")
SIX_VALUES = np.arange(6, dtype="<f2").tobytes()


def parsed(content: bytes) -> TorchFile:
    return parse_torch_file(content, PATH)


def loaded_by_torch(content: bytes) -> dict[str, Any]:
    with torch.serialization.safe_globals([HTDemucs, Fraction]):
        package: dict[str, Any] = torch.load(io.BytesIO(content), "cpu", weights_only=True)
    return package


def assert_same_tensors(actual: Mapping[str, NDArray[Any]], expected: Mapping[str, torch.Tensor]) -> None:
    assert list(actual) == list(expected)
    for name, values in expected.items():
        expected_values = values.detach().numpy()
        assert actual[name].dtype == expected_values.dtype
        np.testing.assert_array_equal(actual[name], expected_values)


@pytest.mark.parametrize("half", [True, False])
def test_what_upstreams_serialiser_writes_is_read_as_torch_reads_it(
    small_network: HTDemucs, tmp_path: Path, half: bool
) -> None:
    content = save_legacy_weights(serialised(small_network, half=half), tmp_path).read_bytes()
    package = loaded_by_torch(content)
    file = parsed(content)
    assert_same_tensors(file.tensors, package["state"])
    assert {tensor.dtype.itemsize for tensor in file.tensors.values()} == {2 if half else 4}
    assert (file.positional, file.named) == ([], package["kwargs"])


def test_both_forms_give_the_same_checkpoint(small_network: HTDemucs, tmp_path: Path) -> None:
    write_fixture_weights(tmp_path / "small.safetensors", SMALL_ENTRY)
    ours = load_checkpoint(tmp_path / "small.safetensors", SMALL_ENTRY)
    legacy = load_checkpoint(save_legacy_weights(serialised(small_network), tmp_path), SMALL_ENTRY)
    assert (legacy.sha256, legacy.sources) == (ours.sha256, ours.sources)
    assert legacy.tensors.keys() == ours.tensors.keys()
    assert all(torch.equal(legacy.tensors[name], tensor) for name, tensor in ours.tensors.items())


def test_the_form_is_recognised_by_the_content(
    small_network: HTDemucs, small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    legacy = tmp_path / "named.safetensors"
    save_legacy_weights(serialised(small_network), tmp_path).rename(legacy)
    assert load_checkpoint(legacy, SMALL_ENTRY).sha256 == small_checkpoint.sha256
    ours = tmp_path / "named.th"
    write_fixture_weights(ours, SMALL_ENTRY)
    assert load_checkpoint(ours, SMALL_ENTRY).sha256 == small_checkpoint.sha256


def test_another_architecture_in_the_legacy_form_is_refused(small_network: HTDemucs, tmp_path: Path) -> None:
    path = save_legacy_weights(serialised(small_network), tmp_path)
    wider = replace(SMALL_ENTRY, architecture={**SMALL_ENTRY.architecture, "channels": 16})
    with pytest.raises(WeightsError, match="its channels is 8, not 16"):
        load_checkpoint(path, wider)


def small_package(**changes: object) -> dict[str, object]:
    tensors = {"a": torch.arange(6).reshape(2, 3).half(), "b": torch.tensor([1.5, -2.0]), "c": torch.tensor(3.0).half()}
    return {"klass": HTDemucs, "args": (["x"],), "kwargs": {"segment": Fraction(39, 5)}, "state": tensors} | changes


def saved(package: object) -> bytes:
    stream = io.BytesIO()
    torch.save(package, stream)
    return stream.getvalue()


def changed_pickle(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    records = records_of(content)
    return archive_of({name: change(data) if name.endswith("data.pkl") else data for name, data in records.items()})


def test_what_upstream_adds_beside_the_model_is_not_read() -> None:
    scores = {"sdr": np.float64(9.25), "again": np.float64(9.25), "nsdr": np.float32(9.0), "loss": float("nan")}
    content = saved(small_package(metrics=(scores, None), training_args={"lr": 3e-4, "epochs": [2**40, -3]}))
    assert b"numpy._core.multiarray" in records_of(content)["archive/data.pkl"]
    # numpy before 2 names its scalars otherwise.
    older = changed_pickle(content, lambda data: data.replace(b"numpy._core.", b"numpy.core."))
    for each in (content, older):
        assert_same_tensors(parsed(each).tensors, loaded_by_torch(saved(small_package()))["state"])


def test_fractions_are_read_as_every_python_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(saved(small_package())).named == {"segment": Fraction(39, 5)}
    # As until Python 3.10.
    monkeypatch.setattr(Fraction, "__reduce__", lambda self: (Fraction, (str(self),)))
    for value in (Fraction(39, 5), Fraction(-10), Fraction(0)):
        content = saved(small_package(kwargs={"segment": value}))
        assert text(str(value)) in records_of(content)["archive/data.pkl"]
        assert parsed(content).named == {"segment": value}


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), plain_values, max_size=4))
def test_arguments_are_read_as_torch_reads_them(arguments: dict[str, object]) -> None:
    assert parsed(saved(small_package(kwargs=arguments))).named == arguments


def test_states_may_be_ordered_transposed_and_shared() -> None:
    values = torch.arange(24.0).reshape(2, 3, 4)
    tensors = OrderedDict(a=values, b=values.permute(2, 0, 1), c=values[1, :, ::2], d=values[:, :1])
    # PyTorch gives its state dictionaries this attribute, which the class does not declare.
    tensors._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    content = saved(small_package(state=tensors))
    assert_same_tensors(parsed(content).tensors, loaded_by_torch(content)["state"])


def test_tensors_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        parsed(saved(small_package())).tensors["a"][0, 0] = 1


class Runs:
    """Makes a file when it is unpickled, by way of any callable."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


class SetsState:
    """Makes a file when it is given its state."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __setstate__(self, fields: dict[str, str]) -> None:
        Path(fields["path"]).touch()


HOSTILE_VALUES: dict[str, Callable[[Path], object]] = {
    "os.system": lambda marker: Runs(os.system, f"touch {marker}"),
    "eval": lambda marker: Runs(eval, f"open({str(marker)!r}, 'w')"),
    "exec": lambda marker: Runs(exec, f"open({str(marker)!r}, 'w')"),
    "subprocess": lambda marker: Runs(subprocess.call, ["touch", str(marker)]),
    "a method": lambda marker: Runs(Path.touch, marker),
    "a state": lambda marker: SetsState(str(marker)),
}
PLACES: dict[str, Callable[[object], object]] = {
    "klass": lambda value: small_package(klass=value),
    "args": lambda value: small_package(args=(value,)),
    "kwargs": lambda value: small_package(kwargs={"a": [value]}),
    "state": lambda value: small_package(state={"a": value}),
    "training_args": lambda value: small_package(training_args={"a": (1, value)}),
    "everything": lambda value: value,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("function", HOSTILE_VALUES)
def test_code_in_a_file_is_refused_and_never_run(tmp_path: Path, function: str, place: str) -> None:
    marker = tmp_path / "ran"
    content = saved(PLACES[place](HOSTILE_VALUES[function](marker)))
    with pytest.raises(WeightsError, match=r"(no part of a model; nothing of it was run|holds operation 0x)"):
        parsed(content)
    assert not marker.exists()
    torch.load(io.BytesIO(content), weights_only=False)
    assert marker.exists(), "this file does nothing, so that it proves nothing"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_pickles_of_every_protocol_is_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    data = pickle.dumps(Runs(os.system, f"touch {marker}"), protocol)
    (tmp_path / "raw.th").write_bytes(data)
    (tmp_path / "zipped.th").write_bytes(with_pickle(data))
    for path in (tmp_path / "raw.th", tmp_path / "zipped.th"):
        with pytest.raises(WeightsError):
            load_checkpoint(path, SMALL_ENTRY)
    assert not marker.exists()
    pickle.loads(data)  # noqa: S301 - it has to be hostile for the test to say something
    assert marker.exists()


def touching(marker: Path) -> dict[str, bytes]:
    """Pickles that run a command in ways that Python's own pickler does not write."""
    command = text(f"touch {marker}")
    system = b"cposix\nsystem\n"
    return {
        "INST": b"\x80\x02(" + command + b"iposix\nsystem\n.",
        "OBJ": b"\x80\x02(" + system + command + b"o.",
        "STACK_GLOBAL": b"\x80\x02\x8c\x05posix\x8c\x06system\x93" + command + b"\x85R.",
        "getattr": b"\x80\x02cbuiltins\ngetattr\n(cos\npath\n" + text("os") + b"tR.",
        "a dotted name": b"\x80\x02cos\npath.os.system\n" + command + b"\x85R.",
        "after a package": package_pickle(b"}")[:-1] + b"0" + system + command + b"\x85R.",
        "the class is called": package_pickle(b"}", klass=b"cdemucs.htdemucs\nHTDemucs\n)R"),
        "a name is instantiated": package_pickle(b"}", klass=b"cdemucs.htdemucs\nHTDemucs\n)\x81"),
        "encode": package_pickle(b"}", klass=b"c_codecs\ndecode\n" + command + b"\x85R"),
        "memo": b"\x80\x02" + system + b"q\x00" + command + b"\x85q\x01h\x00h\x01R.",
    }


@pytest.mark.parametrize("way", touching(Path()))
def test_rare_ways_to_run_code_are_refused(tmp_path: Path, way: str) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(WeightsError):
        parsed(with_pickle(touching(marker)[way]))
    assert not marker.exists()


def test_what_a_file_names_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "sitting_duck.py").write_text("raise SystemExit('imported')\n")
    content = with_pickle(package_pickle(b"}", klass=b"csitting_duck\nModel\n"))
    (tmp_path / "model.th").write_bytes(content)
    script = (
        "import sys\nfrom pathlib import Path\nfrom htdemucs_coreml.weights.content import WeightsError\n"
        "from htdemucs_coreml.weights.torch_file import parse_torch_file\npath = Path(sys.argv[1])\n"
        "try:\n    parse_torch_file(path.read_bytes(), path)\n"
        "except WeightsError:\n    print('sitting_duck' in sys.modules, 'demucs' in sys.modules)\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    command = [sys.executable, "-c", script, str(tmp_path / "model.th")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "False False\n"


def test_the_handwritten_pickle_is_sound() -> None:
    content = with_pickle(package_pickle(state(tensor())), {"0": SIX_VALUES})
    np.testing.assert_array_equal(parsed(content).tensors["0"], np.arange(6).reshape(2, 3))
    assert_same_tensors(parsed(content).tensors, loaded_by_torch(content)["state"])


@pytest.mark.parametrize(
    ("reason", "broken"),
    [
        ("not 7 values of float16", tensor(storage(count=b"K\x07"))),
        ("not 6 values of float32", tensor(storage(kind=b"ctorch\nFloatStorage\n"))),
        ("not -1 values", tensor(storage(count=b"J\xff\xff\xff\xff"))),
        ("storage '1' are missing", tensor(storage("1"))),
        ("storage '../version' are missing", tensor(storage("../version"))),
        ("holds a torch.BFloat16Storage; only float16 and float32", tensor(storage(kind=b"ctorch\nBFloat16Storage\n"))),
        ("data that is no tensor's", tensor(storage(kind=b"ccollections\nOrderedDict\n"))),
        ("data that is no tensor's", text("storage") + b"Q"),
        ("does not fit its storage", tensor(offset=b"K\x01")),
        ("does not fit its storage", tensor(strides=b"(K\x04K\x01t")),
        ("does not fit its storage", tensor(strides=b"(K\x03K\x02t")),
        ("does not fit its storage", tensor(sizes=b"(K\x07t", strides=b"(K\x00t")),
        ("does not fit its storage", tensor(strides=b"(\x8a\x08" + b"\xff" * 7 + b"\x7fK\x01t")),
        ("no valid numbers", tensor(strides=b"(J\xff\xff\xff\xffK\x01t")),
        ("no valid numbers", tensor(offset=b"J\xff\xff\xff\xff")),
        ("no valid numbers", tensor(sizes=b"(K\x00K\x03t")),
        ("no valid numbers", tensor(sizes=b"(\x88K\x03t")),
        ("no valid numbers", tensor(offset=b"\x88")),
        ("0 to 8 axes", tensor(sizes=b"(K\x06t")),
        ("0 to 8 axes", tensor(sizes=b"(" + b"K\x01" * 9 + b"t", strides=b"(" + b"K\x01" * 9 + b"t")),
        ("described in an unknown way", tensor(text("no storage"))),
        ("described in an unknown way", tensor(tail=b"\x89})")),
        ("described in an unknown way", tensor(tail=b"\x89")),
        ("described in an unknown way", tensor(tail=b"\x89ccollections\nOrderedDict\n)R}")),
        ("no table of tensors", storage()),
        ("no table of tensors", b"N"),
        ("no table of tensors", b"cdemucs.htdemucs\nHTDemucs\n"),
        ("calls what no model", b"N)R"),
        ("calls what no model", tensor() + b")R"),
        ("calls what no model", storage() + b")R"),
        ("data that is no tensor's", b"(" + tensor() + b"ctorch\nHalfStorage\n" + text("0") + text("cpu") + b"K\x06tQ"),
        ("data that is no tensor's", tensor() + b"Q"),
        ("a state to what has none", tensor() + b"}b"),
        ("key that is a ndarray", b"}" + tensor() + b"Ns"),
        ("calls what no model", b"ctorch\nHalfStorage\n)R"),
        ("calls what no model", b"ccollections\nOrderedDict\n(]tR"),
        ("calls without arguments", b"ccollections\nOrderedDict\n]R"),
        ("a state to what has none", b"}}b"),
        ("a state to what has none", b"cdemucs.htdemucs\nHTDemucs\n}b"),
    ],
)
def test_tensors_that_are_none_are_refused(reason: str, broken: bytes) -> None:
    with pytest.raises(WeightsError, match=reason):
        parsed(with_pickle(package_pickle(state(broken)), {"0": SIX_VALUES}))


def test_a_stride_along_one_value_is_not_read() -> None:
    huge = b"\x8a\x08" + b"\xff" * 7 + b"\x7f"
    one = tensor(sizes=b"K\x01K\x06\x86", strides=huge + b"K\x01\x86")
    content = with_pickle(package_pickle(state(one)), {"0": SIX_VALUES})
    np.testing.assert_array_equal(parsed(content).tensors["0"], np.arange(6).reshape(1, 6))


def test_a_storage_has_one_type() -> None:
    four_bytes = {"0": bytes(4)}
    half = tensor(storage(count=b"K\x02"), sizes=b"K\x02\x85", strides=b"K\x01\x85")
    single = tensor(storage(count=b"K\x01", kind=b"ctorch\nFloatStorage\n"), sizes=b"K\x01\x85", strides=b"K\x01\x85")
    assert parsed(with_pickle(package_pickle(state(half, half)), four_bytes)).tensors["1"].shape == (2,)
    with pytest.raises(WeightsError, match="used as two types"):
        parsed(with_pickle(package_pickle(state(half, single)), four_bytes))


def nested(levels: int) -> bytes:
    """Lists of which each holds the one before twice: 2 ** levels values, from a few operations a level."""
    doubled = (b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(levels))
    return b"](]q\x00" + b"".join(doubled) + b"e"


def with_argument(value: bytes) -> bytes:
    return package_pickle(b"}", kwargs=b"}" + text("a") + value + b"s")


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("not of protocol 2", b""),
        ("not of protocol 2", b"\x80\x04N."),
        ("is cut off", b"\x80\x02"),
        ("is cut off", b"\x80\x02X\xff\xff\xff\xff"),
        ("is cut off", b"\x80\x02G\x00"),
        ("goes on", b"\x80\x02N.N"),
        ("goes on", b"\x80\x02NN."),
        ("goes on", b"\x80\x02(N."),
        ("has not made", b"\x80\x02N(."),
        ("has not made", b"\x80\x02."),
        ("has not made", b"\x80\x02q\x00"),
        ("has not made", b"\x80\x02h\x00"),
        ("has not made", b"\x80\x02N(\x85"),
        ("has not begun", b"\x80\x02t"),
        ("no list", b"\x80\x02}Na"),
        ("no table", b"\x80\x02]NNs"),
        ("no table", b"\x80\x02}(Nu"),
        ("key that is a list", b"\x80\x02}]Ns"),
        ("key that is a tuple", b"\x80\x02})Ns"),
        ("key that is a float", b"\x80\x02}G" + struct.pack(">d", float("nan")) + b"Ns"),
        ("sets 'a' twice", b"\x80\x02}(" + text("a") + b"N" + text("a") + b"Nu."),
        ("sets 1 twice", b"\x80\x02}(\x88NK\x01Nu."),
        ("integer of 9 bytes", b"\x80\x02\x8a\x09" + bytes(9)),
        ("not UTF-8", b"\x80\x02X\x01\0\0\0\xff."),
        ("not UTF-8", b"\x80\x02X\x03\0\0\0\xed\xa0\x80."),
        ("name without an end", b"\x80\x02c" + b"a" * 1000),
        ("operation 0x30", b"\x80\x02N0N."),
        ("operation 0x80", b"\x80\x02\x80\x02N."),
        (f"more than {MAX_OPERATIONS} operations", b"\x80\x02" + b"}" * MAX_OPERATIONS + b"."),
        (f"more than {MAX_PICKLE_BYTES} are refused", b"\x80\x02X" + bytes(MAX_PICKLE_BYTES)),
        ("no demucs model", b"\x80\x02N."),
        ("no demucs model", b"\x80\x02}."),
        ("no demucs model", package_pickle(b"]")),
        ("class is not demucs.htdemucs.HTDemucs", package_pickle(b"}", klass=b"N")),
        ("class is not demucs.htdemucs.HTDemucs", package_pickle(b"}", klass=text("demucs.htdemucs.HTDemucs"))),
        ("names demucs.hdemucs.HDemucs", package_pickle(b"}", klass=b"cdemucs.hdemucs\nHDemucs\n")),
        ("an argument of its model has no name", package_pickle(b"}", kwargs=b"}NNs")),
        ("no plain value", with_argument(b"cdemucs.htdemucs\nHTDemucs\n")),
        ("more arguments than any model", with_argument(nested(200))),
        ("more arguments than any model", with_argument(b"](" + b"N" * 1000 + b"e")),
        ("more arguments than any model", with_argument(b"]q\0h\0a")),
        ("more arguments than any model", with_argument(b"N" + b"\x85" * 99_999)),
        ("fraction without its numbers", with_argument(b"cfractions\nFraction\n)R")),
        ("fraction without its numbers", with_argument(b"cfractions\nFraction\n" + text("1e9") + b"\x85R")),
        ("fraction without its numbers", with_argument(b"cfractions\nFraction\n" + text("1" * 19) + b"\x85R")),
        ("denominator", with_argument(b"cfractions\nFraction\nK\x01K\x00\x86R")),
        ("denominator", with_argument(b"cfractions\nFraction\n" + text("1/0") + b"\x85R")),
    ],
)
def test_departures_of_the_pickle_are_named(reason: str, data: bytes) -> None:
    with pytest.raises(WeightsError, match=reason):
        parsed(with_pickle(data))


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("not one that torch.save writes", lambda records: records.pop("archive/data.pkl")),
        ("not one that torch.save writes", lambda records: records.update({"other/data.pkl": b""})),
        ("does not say which version", lambda records: records.pop("archive/version")),
        ("does not say which version", lambda records: records.update({"archive/version": b"\xb23\n"})),
        ("not in little-endian order", lambda records: records.update({"archive/byteorder": b"big"})),
        ("the values of storage '0' are missing", lambda records: records.pop("archive/data/0")),
    ],
)
def test_archives_that_torch_does_not_write_are_refused(
    reason: str, change: Callable[[dict[str, bytes]], object]
) -> None:
    records = records_of(saved(small_package()))
    change(records)
    with pytest.raises(WeightsError, match=reason):
        parsed(archive_of(records))


def test_pickles_of_old_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.th"
    torch.save(small_package(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match=r"is a pickle, the form that torch\.save wrote before PyTorch 1\.6"):
        load_checkpoint(path, SMALL_ENTRY)


SOUND = saved(small_package(training_args={"a": [1, 2.5, None]}, metrics=({"sdr": 1.5}, None)))
SOUND_TENSORS = loaded_by_torch(SOUND)["state"]
damage = st.one_of(
    st.tuples(st.just("flip"), st.integers(0), st.integers(0, 7)),
    st.tuples(st.just("replace"), st.integers(0), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.integers(0), st.just(0)),
    st.tuples(st.just("drop"), st.integers(0), st.integers(1, 40)),
    st.tuples(st.just("repeat"), st.integers(0), st.integers(1, 40)),
    st.tuples(st.just("insert"), st.integers(0), st.integers(0, 255)),
)


def damaged(content: bytes, damages: list[tuple[str, int, int]]) -> bytes:
    for kind, place, value in damages:
        at = place % max(len(content), 1)
        head, tail = content[:at], content[at:]
        match kind:
            case "flip":
                content = head + bytes([tail[0] ^ 1 << value]) + tail[1:] if tail else content
            case "replace":
                content = head + bytes([value]) + tail[1:]
            case "cut":
                content = head
            case "drop":
                content = head + tail[value:]
            case "repeat":
                content = head + tail[:value] + tail
            case "insert":
                content = head + bytes([value]) + tail
    return content


@settings(max_examples=400, deadline=None)
@given(st.lists(damage, min_size=1, max_size=3))
def test_a_damaged_archive_gives_the_same_tensors_or_is_refused(damages: list[tuple[str, int, int]]) -> None:
    with suppress(WeightsError):
        assert_same_tensors(parsed(damaged(SOUND, damages)).tensors, SOUND_TENSORS)


@settings(max_examples=400, deadline=None)
@given(st.lists(damage, min_size=1, max_size=3))
def test_a_damaged_pickle_gives_what_torch_reads_or_is_refused(damages: list[tuple[str, int, int]]) -> None:
    content = changed_pickle(SOUND, lambda data: damaged(data, damages))
    try:
        tensors = parsed(content).tensors
    except WeightsError:
        return
    assert_same_tensors(tensors, loaded_by_torch(content)["state"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([bytes([code]) for code in b"NKMJ\x8aGX)]}\x85\x86\x87(taesuqrhjcRQb\x88\x89."]), max_size=60
    )
)
def test_operations_in_any_order_are_refused_or_make_plain_values(operations: list[bytes]) -> None:
    with suppress(WeightsError):
        parsed(with_pickle(b"\x80\x02" + b"".join(operations) + b"."))


def test_every_argument_of_the_network_has_a_place_in_the_form(small_network: HTDemucs, tmp_path: Path) -> None:
    file = parsed(save_legacy_weights(serialised(small_network), tmp_path).read_bytes())
    assert file.named == network_arguments(SMALL_ENTRY)
