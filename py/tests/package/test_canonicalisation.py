"""Any ML program's package, in the form that depends on its program alone."""

import json
import os
import shutil
import stat
import struct
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import coremltools
import numpy as np
import pytest
import torch
from coremltools.converters.mil import Builder
from coremltools.proto import MIL_pb2, Model_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.mil import Interpreter
from htdemucs_coreml.mil import read_package as read_program
from htdemucs_coreml.package.canonicalisation import canonicalise
from htdemucs_coreml.package.files import package_files
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError

OWN_METADATA = {"com.example.author": "somebody", "sources": "none of this project's"}
FIRST_BLOB = 64


@pytest.fixture(scope="module")
def foreign_model() -> coremltools.models.MLModel:
    """Somebody else's program, with metadata of its own."""
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.GELU(), torch.nn.Linear(8, 12)).eval()
    traced = torch.jit.trace(module, torch.zeros(1, 16))
    model = coremltools.convert(
        traced,
        inputs=[coremltools.TensorType("x", (1, 16))],
        outputs=[coremltools.TensorType("y")],
        minimum_deployment_target=coremltools.target.iOS18,
        compute_precision=coremltools.precision.FLOAT32,
        skip_model_load=True,
    )
    model.short_description = "Two layers"
    model.user_defined_metadata.update(OWN_METADATA)
    return model


@pytest.fixture
def foreign(foreign_model: coremltools.models.MLModel, tmp_path: Path) -> Path:
    path = tmp_path / "foreign.mlpackage"
    foreign_model.save(str(path))
    return path


def content(package: Path) -> dict[str, bytes]:
    return {str(relative): file.read_bytes() for relative, file in package_files(package).items()}


def model_of(package: Path) -> Model_pb2.Model:
    return Model_pb2.Model.FromString((package / MODEL).read_bytes())


def edit(package: Path, change: Callable[[Model_pb2.Model], object]) -> None:
    """Change a package that has no digests of its own."""
    model = model_of(package)
    change(model)
    (package / MODEL).write_bytes(model.SerializeToString())


def constants(model: Model_pb2.Model) -> list[MIL_pb2.Value.BlobFileValue]:
    """What refers to the weight file, in the program's order."""
    (function,) = model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    values = [operation.attributes["val"] for operation in block.operations if operation.type == "const"]
    return [value.blobFileValue for value in values if value.HasField("blobFileValue")]


def patch(file: Path, offset: int, form: str, *values: int) -> None:
    changed = bytearray(file.read_bytes())
    struct.pack_into(form, changed, offset, *values)
    file.write_bytes(changed)


def save_anew(foreign: Path, path: Path) -> None:
    """The same program as another machine would save it, on another day."""
    shutil.copytree(foreign, path)
    manifest = json.loads((path / MANIFEST).read_bytes())
    items = manifest["itemInfoEntries"]
    renamed = {identifier: f"{index:08X}-0000-4000-8000-000000000000" for index, identifier in enumerate(items)}
    manifest["itemInfoEntries"] = {renamed[identifier]: items[identifier] for identifier in reversed(items)}
    manifest["rootModelIdentifier"] = renamed[manifest["rootModelIdentifier"]]
    (path / MANIFEST).write_text(json.dumps(manifest))

    def change(model: Model_pb2.Model) -> None:
        strings = model.description.metadata.userDefined
        strings["com.github.apple.coremltools.conversion_date"] = "1999-12-31"
        strings["com.github.apple.coremltools.source"] = f"torch=={torch.__version__.partition('+')[0]}+cu126"
        pairs = model.mlProgram.attributes["buildInfo"].immediateValue.dictionary.values
        for pair in pairs:
            if pair.key.immediateValue.tensor.strings.values[0] == "coremltools-component-torch":
                pair.value.immediateValue.tensor.strings.values[0] = torch.__version__.partition("+")[0] + "+cu126"
        reverse = list(pairs)[::-1]
        del pairs[:]
        pairs.extend(reverse)

    edit(path, change)
    (path / MODEL).chmod(0o600)


def test_two_saves_of_a_program_have_one_canonical_form(
    foreign_model: coremltools.models.MLModel, foreign: Path, tmp_path: Path
) -> None:
    again, elsewhere = tmp_path / "again.mlpackage", tmp_path / "elsewhere.mlpackage"
    foreign_model.save(str(again))
    save_anew(foreign, elsewhere)
    assert len({(path / MODEL).read_bytes() for path in (foreign, elsewhere)}) == 2
    for path in (foreign, again, elsewhere):
        canonicalise(path, tmp_path / f"canonical-{path.name}")
    forms = [content(tmp_path / f"canonical-{path.name}") for path in (foreign, again, elsewhere)]
    assert forms == [forms[0]] * 3
    for trace in (b"1999-12-31", b"conversion_date", b"+cu126", b"+cpu"):
        assert trace not in forms[0][str(MODEL)]


def test_it_computes_what_it_computed_and_keeps_its_own_metadata(foreign: Path, tmp_path: Path) -> None:
    output = tmp_path / "canonical.mlpackage"
    canonicalise(foreign, output)
    x = np.linspace(-1, 1, 16, dtype=np.float32)[None]
    before, after = (Interpreter(read_program(path)).predict({"x": x})["y"] for path in (foreign, output))
    np.testing.assert_array_equal(before, after)
    metadata = model_of(output).description.metadata
    assert metadata.shortDescription == "Two layers"
    strings = {**metadata.userDefined}
    assert {key: strings[key] for key in OWN_METADATA} == OWN_METADATA
    assert strings["com.github.apple.coremltools.version"] == coremltools.__version__


def test_the_canonical_form_of_a_canonical_form_is_itself_even_in_its_place(foreign: Path, tmp_path: Path) -> None:
    output = tmp_path / "canonical.mlpackage"
    canonicalise(foreign, output)
    before = content(output)
    canonicalise(output, output)
    assert content(output) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == [output.name, foreign.name]


def test_a_package_of_this_project_comes_out_as_it_is(small_package: Path, tmp_path: Path) -> None:
    canonicalise(small_package, tmp_path / "out.mlpackage")
    assert content(tmp_path / "out.mlpackage") == content(small_package)


def test_a_package_of_this_project_that_coremltools_saved_again_is_what_it_was(
    small_package: Path, tmp_path: Path
) -> None:
    coremltools.models.MLModel(str(small_package), skip_model_load=True).save(str(tmp_path / "saved.mlpackage"))
    canonicalise(tmp_path / "saved.mlpackage", tmp_path / "out.mlpackage")
    assert content(tmp_path / "out.mlpackage") == content(small_package)


@pytest.mark.parametrize("file", [MODEL, WEIGHT_BIN])
def test_a_package_of_this_project_that_was_changed_is_not_blessed(
    small_package: Path, tmp_path: Path, file: PurePosixPath
) -> None:
    changed = tmp_path / "changed.mlpackage"
    shutil.copytree(small_package, changed)
    if file == MODEL:
        edit(changed, lambda model: setattr(model.description.metadata, "shortDescription", "another"))
    else:
        patch(changed / WEIGHT_BIN, (changed / WEIGHT_BIN).stat().st_size - 2, "<B", 1)
    with pytest.raises(PackageError, match="is not what its metadata says"):
        canonicalise(changed, tmp_path / "out.mlpackage")
    assert not (tmp_path / "out.mlpackage").exists()


def test_gaps_and_constants_that_nothing_uses_are_left_out(foreign: Path, tmp_path: Path) -> None:
    canonicalise(foreign, tmp_path / "expected.mlpackage")
    weights = (foreign / WEIGHT_BIN).read_bytes()
    padded = weights + bytes(-len(weights) % 64)
    unused = padded[FIRST_BLOB : constants(model_of(foreign))[1].offset]
    # An unused blob behind the file's header, and bytes that are not zero in the reserved part of that.
    moved = bytearray(padded[:FIRST_BLOB] + unused + padded[FIRST_BLOB:] + b"behind the end")
    moved[40:44] = b"\1\2\3\4"
    (foreign / WEIGHT_BIN).write_bytes(moved)
    for position in blobs(padded):
        patch(foreign / WEIGHT_BIN, position + len(unused) + 16, "<Q", position + len(unused) + 64)

    def move(model: Model_pb2.Model) -> None:
        for reference in constants(model):
            reference.offset += len(unused)

    edit(foreign, move)
    canonicalise(foreign, tmp_path / "out.mlpackage")
    assert content(tmp_path / "out.mlpackage") == content(tmp_path / "expected.mlpackage")


def blobs(weights: bytes) -> list[int]:
    """Where a regular file's blobs begin."""
    found, position = [], FIRST_BLOB
    while position < len(weights):
        found.append(position)
        position += 64 + -(-int.from_bytes(weights[position + 8 : position + 16], "little") // 64) * 64
    return found


def test_references_are_found_in_arguments_and_in_blocks_within_blocks(tmp_path: Path) -> None:
    """Palettes stand in arguments, branches in blocks of their own; neither is a constant of the outermost block."""
    indices = np.arange(48, dtype=np.uint8).reshape(6, 8) % 4

    # coremltools has no types.
    @Builder.program(  # type: ignore[untyped-decorator]
        input_specs=[Builder.TensorSpec((6, 8)), Builder.TensorSpec((1,))], opset_version=coremltools.target.iOS18
    )
    def program(x: object, choice: object) -> object:
        table = np.linspace(-1, 1, 4, dtype=np.float32).reshape(1, 1, 4, 1)
        two_bits = indices.astype(coremltools.converters.mil.mil.types.np_uint2_dtype)
        palette = Builder.constexpr_lut_to_dense(indices=two_bits, lut=table)
        positive = Builder.squeeze(x=Builder.greater(x=choice, y=0.0))
        return Builder.cond(
            pred=positive,
            _true_fn=lambda: Builder.add(x=x, y=palette),
            _false_fn=lambda: Builder.mul(x=x, y=np.arange(48, dtype=np.float32).reshape(6, 8)),
        )

    source = tmp_path / "source.mlpackage"
    coremltools.convert(
        program,
        minimum_deployment_target=coremltools.target.iOS18,
        compute_precision=coremltools.precision.FLOAT32,
        skip_model_load=True,
    ).save(str(source))
    weights = (source / WEIGHT_BIN).read_bytes()
    assert len(blobs(weights)) == 2
    canonicalise(source, tmp_path / "out.mlpackage")
    assert (tmp_path / "out.mlpackage" / WEIGHT_BIN).read_bytes() == weights


def test_a_program_without_large_constants_has_no_weight_file(tmp_path: Path) -> None:
    # coremltools has no types.
    @Builder.program(  # type: ignore[untyped-decorator]
        input_specs=[Builder.TensorSpec((2, 3))], opset_version=coremltools.target.iOS18
    )
    def program(x: object) -> object:
        return Builder.add(x=x, y=np.float32(1))

    source, output = tmp_path / "source.mlpackage", tmp_path / "out.mlpackage"
    coremltools.convert(program, minimum_deployment_target=coremltools.target.iOS18, skip_model_load=True).save(
        str(source)
    )
    canonicalise(source, output)
    canonicalise(output, output)
    assert sorted(item.name for item in output.rglob("*") if item.is_file()) == ["Manifest.json", "model.mlmodel"]
    manifest = json.loads((output / MANIFEST).read_bytes())
    assert [item["path"] for item in manifest["itemInfoEntries"].values()] == ["com.apple.CoreML/model.mlmodel"]


def test_modes_are_fixed(foreign: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mlpackage"
    mask = os.umask(0o077)
    try:
        canonicalise(foreign, output)
    finally:
        os.umask(mask)
    assert {stat.S_IMODE(item.stat().st_mode) for item in (output, *output.rglob("*"))} == {0o644, 0o755}


def link_weights(package: Path) -> None:
    moved = package.parent / "elsewhere.bin"
    (package / WEIGHT_BIN).rename(moved)
    (package / WEIGHT_BIN).symlink_to(moved)


def rewrite_manifest(change: Callable[[dict[str, dict[str, dict[str, str]]]], object]) -> Callable[[Path], object]:
    def rewrite(package: Path) -> None:
        manifest = json.loads((package / MANIFEST).read_bytes())
        change(manifest)
        (package / MANIFEST).write_text(json.dumps(manifest))

    return rewrite


def root_path(manifest: dict[str, dict[str, dict[str, str]]], path: str) -> None:
    for item in manifest["itemInfoEntries"].values():
        if item["path"].endswith(".mlmodel"):
            item["path"] = path


def add_item(manifest: dict[str, dict[str, dict[str, str]]]) -> None:
    manifest["itemInfoEntries"]["ANOTHER"] = {
        "path": "com.apple.CoreML/notes",
        "author": "",
        "name": "",
        "description": "",
    }


def refer_to(name: str) -> Callable[[Path], object]:
    return lambda package: edit(package, lambda model: setattr(constants(model)[0], "fileName", name))


def refer_at(offset: int) -> Callable[[Path], object]:
    return lambda package: edit(package, lambda model: setattr(constants(model)[0], "offset", offset))


def blob_inside_another(package: Path) -> None:
    """A blob whose data holds, at a multiple of 64, another whole blob."""
    first, second = constants(model_of(package))[:2]
    size = (package / WEIGHT_BIN).stat().st_size - first.offset - 64
    patch(package / WEIGHT_BIN, first.offset + 8, "<Q", size // 4 * 4)
    assert first.offset < second.offset


HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a link": ("no plain file", link_weights),
    "a foreign file": ("notes.txt, which is no part", lambda package: (package / "notes.txt").touch()),
    "no model": ("lacks Data", lambda package: (package / MODEL).unlink()),
    "no weights": ("lacks Data.*weight.bin", lambda package: (package / WEIGHT_BIN).unlink()),
    "no package": ("does not exist", shutil.rmtree),
    "a manifest that is no JSON": ("malformed Manifest", lambda package: (package / MANIFEST).write_text("{")),
    "a manifest of other things": ("malformed Manifest", lambda package: (package / MANIFEST).write_text("[1]")),
    "a deep manifest": ("malformed Manifest", lambda package: (package / MANIFEST).write_text("[" * 60_000)),
    "a huge manifest": ("more than 65536", lambda package: (package / MANIFEST).write_bytes(bytes((1 << 16) + 1))),
    "another root": ("another root", rewrite_manifest(lambda m: root_path(m, "com.apple.CoreML/weights"))),
    "a root outside": ("another root", rewrite_manifest(lambda m: root_path(m, "../../model.mlmodel"))),
    "an item of another kind": ("items that no ML program has", rewrite_manifest(add_item)),
    "a damaged model": ("damaged Data", lambda package: (package / MODEL).write_bytes(b"\xff" * 9)),
    "no ML program": ("holds no ML program", lambda package: (package / MODEL).write_bytes(b"")),
    "a huge model": ("more than 268435456", lambda package: os.truncate(package / MODEL, (256 << 20) + 1)),
    "huge weights": ("more than 4294967296", lambda package: os.truncate(package / WEIGHT_BIN, (4 << 30) + 1)),
    "weights elsewhere": ("from another file", refer_to("@model_path/../../secret")),
    "empty weights": ("weight.bin cannot be read", lambda package: os.truncate(package / WEIGHT_BIN, 0)),
    "short weights": ("no weight file", lambda package: os.truncate(package / WEIGHT_BIN, 63)),
    "another version": ("no weight file of version 2", lambda package: patch(package / WEIGHT_BIN, 4, "<I", 1)),
    "a reference into the header": ("offset 0: no blob can", refer_at(0)),
    "a reference between blobs": ("offset 96: no blob can", refer_at(96)),
    "a reference to data": ("offset 128: no blob begins", refer_at(128)),
    "a reference behind the end": ("no blob can", refer_at(1 << 40)),
    "an unknown element type": ("type 99", lambda package: patch(package / WEIGHT_BIN, FIRST_BLOB + 4, "<I", 99)),
    "data elsewhere": ("do not lie", lambda package: patch(package / WEIGHT_BIN, FIRST_BLOB + 16, "<Q", 0)),
    "endless data": ("do not lie", lambda package: patch(package / WEIGHT_BIN, FIRST_BLOB + 8, "<Q", (1 << 64) - 1)),
    "half an element": ("no whole", lambda package: patch(package / WEIGHT_BIN, FIRST_BLOB + 8, "<Q", 30)),
    "too many unused bits": ("no whole", lambda package: patch(package / WEIGHT_BIN, FIRST_BLOB + 24, "<Q", 32)),
    "blobs within blobs": ("inside another", blob_inside_another),
}


@pytest.mark.parametrize(("message", "damage"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_package_is_refused_in_one_sentence_and_nothing_is_written(
    foreign: Path, tmp_path: Path, message: str, damage: Callable[[Path], object]
) -> None:
    damage(foreign)
    output = tmp_path / "out.mlpackage"
    with pytest.raises(PackageError, match=message) as error:
        canonicalise(foreign, output)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    assert not output.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_bytes_are_changed_the_package_is_written_or_refused(
    foreign: Path, tmp_path: Path, data: st.DataObject
) -> None:
    relative = data.draw(st.sampled_from([MANIFEST, MODEL, WEIGHT_BIN]))
    original = (foreign / relative).read_bytes()
    changed = bytearray(original)
    for position in data.draw(st.lists(st.integers(0, len(original) - 1), min_size=1, max_size=4)):
        changed[position] = data.draw(st.integers(0, 255))
    (foreign / relative).write_bytes(changed)
    try:
        canonicalise(foreign, tmp_path / "out.mlpackage")
    except PackageError as error:
        assert "\n" not in str(error)
    else:
        before = content(tmp_path / "out.mlpackage")
        canonicalise(tmp_path / "out.mlpackage", tmp_path / "out.mlpackage")
        assert content(tmp_path / "out.mlpackage") == before
    finally:
        (foreign / relative).write_bytes(original)


def test_what_stands_in_its_place_and_is_no_package_is_kept(foreign: Path, tmp_path: Path) -> None:
    output = tmp_path / "keep.mlpackage"
    output.mkdir()
    (output / "notes.txt").touch()
    with pytest.raises(PackageError, match="no package to be replaced"):
        canonicalise(foreign, output)
    assert (output / "notes.txt").exists()
