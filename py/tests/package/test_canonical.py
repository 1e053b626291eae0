import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from coremltools.proto import Model_pb2

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.package.canonical import require_target, write_package
from htdemucs_coreml.package.digests import UNSIGNED, sha256_bytes
from htdemucs_coreml.package.files import read_package_files
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.metadata import PackageError
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.package.weight_file import WeightFile
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_VARIANT

_CONVERT_AGAIN = """
import sys
from pathlib import Path
from small_model import SHORT_VARIANT, SMALL_ENTRY
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.weights.source import load_weights
convert_checkpoint(load_weights(SMALL_ENTRY, None), SHORT_VARIANT, Path(sys.argv[1]))
"""
_REFUSE_COMPILED_PARTS = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith("coremltools.lib"):
            raise ImportError(f"{name} does not exist here")

sys.meta_path.insert(0, Refuse())
"""
_NO_VECTORS = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR AVX2 FMA3"


def package_bytes(path: Path) -> dict[str, bytes]:
    return {str(relative): file.read_bytes() for relative, file in read_package_files(path).items()}


@pytest.mark.parametrize(
    ("variation", "umask"),
    [
        ({"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "OMP_NUM_THREADS": "2"}, 0o077),
        ({"PYTHONHASHSEED": "8", "TZ": "UTC", "NPY_DISABLE_CPU_FEATURES": _NO_VECTORS, "OMP_NUM_THREADS": "1"}, 0o000),
    ],
    ids=["other hash seed, time zone, locale, threads and umask", "numpy without vector units"],
)
def test_another_process_writes_the_same_bytes(
    small_package: Path, tmp_path: Path, variation: dict[str, str], umask: int
) -> None:
    script, output = tmp_path / "again.py", tmp_path / "again.mlpackage"
    script.write_text(_CONVERT_AGAIN, encoding="utf-8")
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])
    subprocess.run(
        [sys.executable, str(script), str(output)],
        env={**os.environ, "PYTHONPATH": path, **variation},
        umask=umask,
        check=True,
        capture_output=True,
    )
    assert package_bytes(output) == package_bytes(small_package)
    modes = {stat.S_IMODE(item.stat().st_mode) for item in (output, *output.rglob("*"))}
    assert modes == {0o644, 0o755}


def test_conversion_needs_nothing_of_coremltools_that_is_compiled(small_package: Path, tmp_path: Path) -> None:
    """As on platforms for which its libraries do not exist; nothing is told of it either."""
    script, output = tmp_path / "again.py", tmp_path / "again.mlpackage"
    script.write_text(_REFUSE_COMPILED_PARTS + _CONVERT_AGAIN, encoding="utf-8")
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])
    finished = subprocess.run(
        [sys.executable, str(script), str(output)],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    assert (finished.stdout, finished.stderr) == ("", "")
    assert package_bytes(output) == package_bytes(small_package)


def test_a_package_holds_exactly_its_three_files_and_no_links(small_package: Path) -> None:
    assert set(read_package_files(small_package)) == {MANIFEST, MODEL, WEIGHT_BIN}
    assert not any(item.is_symlink() for item in small_package.rglob("*"))


def test_nothing_of_the_machine_or_the_moment_is_in_the_model(small_package: Path) -> None:
    model = (small_package / MODEL).read_bytes()
    for trace in (b"conversion_date", b"+cpu", str(Path.home()).encode(), os.uname().nodename.encode() + b"."):
        assert trace not in model


def test_the_manifest_is_what_core_ml_expects(small_package: Path) -> None:
    manifest = json.loads((small_package / MANIFEST).read_bytes())
    root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
    assert manifest["fileFormatVersion"] == "1.0.0"
    assert root["path"] == "com.apple.CoreML/model.mlmodel"


def test_metadata_says_all_that_a_host_needs(small_package: Path, small_checkpoint: Checkpoint) -> None:
    package = read_package(small_package)
    strings = package.model.description.metadata.userDefined
    assert dict(strings) == package.metadata.to_strings()
    assert json.loads(strings["sources"]) == list(small_checkpoint.sources)
    assert strings["sample_rate"] == "44100"
    assert strings["segment_samples"] == str(SHORT_VARIANT.segment_samples)
    assert (strings["n_fft"], strings["hop_length"]) == ("4096", "1024")
    assert strings["weights_sha256"] == small_checkpoint.sha256
    assert strings["weight_bin_sha256"] == package.sha256[WEIGHT_BIN]
    unsigned = (small_package / MODEL).read_bytes().replace(strings["model_sha256"].encode(), UNSIGNED.encode())
    assert strings["model_sha256"] == sha256_bytes(unsigned)


def test_an_existing_package_is_replaced_whole(
    small_package: Path, small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    output = tmp_path / "small.mlpackage"
    shutil.copytree(small_package, output)
    (output / MODEL).write_bytes(b"an older one")
    convert_checkpoint(small_checkpoint, SHORT_VARIANT, output)
    assert package_bytes(output) == package_bytes(small_package)
    assert [item.name for item in tmp_path.iterdir()] == [output.name]


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").touch()


@pytest.mark.parametrize(
    "occupy", [make_folder, Path.touch, lambda path: path.symlink_to(path.parent)], ids=["folder", "file", "link"]
)
def test_what_is_no_package_is_never_replaced(tmp_path: Path, occupy: Callable[[Path], None]) -> None:
    output = tmp_path / "keep.mlpackage"
    occupy(output)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(PackageError, match="is no package to be replaced"):
        require_target(output)
    with pytest.raises(PackageError, match="is no package to be replaced"):
        write_package(output, Model_pb2.Model(), WeightFile())
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there_is_named_before_anything_is_converted(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="nowhere is not a folder"):
        require_target(tmp_path / "nowhere" / "x.mlpackage")


def test_a_failed_replacement_leaves_the_old_package(
    small_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "small.mlpackage"
    shutil.copytree(small_package, output)
    rename = Path.rename

    def fail_to_take_the_place(self: Path, target: Path) -> Path:
        if target == output and self.parent.name.startswith("."):
            monkeypatch.setattr(Path, "rename", rename)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_to_take_the_place)
    with pytest.raises(PackageError, match="cannot be written: Input/output error"):
        write_package(output, Model_pb2.Model(), WeightFile())
    assert package_bytes(output) == package_bytes(small_package)
