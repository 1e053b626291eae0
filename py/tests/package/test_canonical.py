import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.package.layout import MANIFEST, MODEL, WEIGHT_BIN
from htdemucs_coreml.package.reader import read_package, read_package_files
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


def test_an_existing_package_is_replaced_whole(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    output = tmp_path / "small.mlpackage"
    (output / "Data").mkdir(parents=True)
    (output / "Data" / "left over").touch()
    convert_checkpoint(small_checkpoint, SHORT_VARIANT, output)
    assert set(read_package_files(output)) == {MANIFEST, MODEL, WEIGHT_BIN}
    assert [item.name for item in tmp_path.iterdir()] == [output.name]
