import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from fidelity_figures import CONDITIONS, package_figures, results
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.fidelity import report
from htdemucs_coreml.fidelity.report import FLOAT32_VARIANT, Measurements, collected, command
from htdemucs_coreml.fidelity.results import PackageFigures, Results, read_results, rounded
from htdemucs_coreml.package.reader import Package, read_package
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_VARIANT, SMALL_ENTRY

DIGESTS = {"float32-7_8s": "1" * 64, "mixed-7_8s": "2" * 64, "float16-7_8s": "3" * 64}


@dataclasses.dataclass
class FakePackage:
    digest: str


class FakeMeasurements:
    """Stands in for `Measurements`; notes what was measured."""

    conditions = CONDITIONS

    def __init__(self, digests: Mapping[str, str] = DIGESTS) -> None:
        self.packages = {name: cast(Package, FakePackage(digest)) for name, digest in digests.items()}
        self.done: list[str] = []

    def pytorch_float64_snr_db(self) -> Mapping[str, tuple[float, ...]]:
        self.done.append("pytorch")
        return results({}).pytorch_float64_snr_db

    def measure(self, name: str) -> PackageFigures:
        self.done.append(name)
        return package_figures(sha256=self.packages[name].digest)

    def measure_attention(self, name: str) -> PackageFigures:
        self.done.append(f"attention in {name}")
        return package_figures(sha256="4" * 64)


def collect(
    measurements: FakeMeasurements, earlier: Results | None, keep: Callable[[Results], None] = lambda _: None
) -> Results:
    return collected(cast(Measurements, measurements), earlier, keep)


@pytest.fixture
def before() -> Results:
    return collect(FakeMeasurements(), None)


def test_everything_is_measured_once(before: Results) -> None:
    first = FakeMeasurements()
    assert collect(first, None) == before
    assert first.done == ["pytorch", *DIGESTS, "attention in mixed-7_8s", "attention in float16-7_8s"]
    again = FakeMeasurements()
    assert collect(again, before) == before
    assert again.done == []


def test_a_package_that_changed_is_measured_again_and_no_other(before: Results) -> None:
    measurements = FakeMeasurements({**DIGESTS, "mixed-7_8s": "5" * 64})
    after = collect(measurements, before)
    assert measurements.done == ["mixed-7_8s", "attention in mixed-7_8s"]
    assert after.packages["mixed-7_8s"].sha256 == "5" * 64


def test_a_variant_that_is_gone_takes_its_figures_along(before: Results) -> None:
    after = collect(FakeMeasurements({name: digest for name, digest in DIGESTS.items() if "mixed" not in name}), before)
    assert set(after.packages) == {"float32-7_8s", "float16-7_8s"}
    assert set(after.attention) == {"float16-7_8s"}


def test_figures_under_other_conditions_are_void(before: Results) -> None:
    old = dataclasses.replace(before, conditions=dataclasses.replace(CONDITIONS, version=0))
    measurements = FakeMeasurements()
    assert collect(measurements, old) == before
    assert len(measurements.done) == 6


def test_an_interrupted_update_goes_on_where_it_was(before: Results) -> None:
    changed = {name: digest[::-1].replace("1", "6") for name, digest in DIGESTS.items()} | {"mixed-7_8s": "5" * 64}
    kept: list[Results] = []

    class InterruptedMeasurements(FakeMeasurements):
        def measure(self, name: str) -> PackageFigures:
            if name == "float16-7_8s" or len(kept) == 2:
                raise KeyboardInterrupt
            return super().measure(name)

    with pytest.raises(KeyboardInterrupt):
        collect(InterruptedMeasurements({**changed, "float16-7_8s": "7" * 64}), before, kept.append)
    goes_on = FakeMeasurements({**changed, "float16-7_8s": "7" * 64})
    after = collect(goes_on, rounded(kept[-1]))
    assert goes_on.done == ["float16-7_8s", "attention in mixed-7_8s", "attention in float16-7_8s"]
    assert after == collect(FakeMeasurements({**changed, "float16-7_8s": "7" * 64}), None)


@pytest.fixture
def package(small_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the small model under the name of float32's; it is measured on two signals."""
    monkeypatch.setattr(report, "find_model", lambda _name: SMALL_ENTRY)
    monkeypatch.setattr(report, "load_weights", lambda *_: small_checkpoint)
    monkeypatch.setattr(report, "PROBES", ("music", "click"))
    monkeypatch.setattr(report, "shipped_bars", dict)
    path = tmp_path / "small.mlpackage"
    convert_checkpoint(small_checkpoint, dataclasses.replace(SHORT_VARIANT, name=FLOAT32_VARIANT), path)
    return path


def test_an_update_writes_data_and_page_and_a_check_compares_them(package: Path, tmp_path: Path) -> None:
    data, page = tmp_path / "fidelity.toml", tmp_path / "fidelity.md"
    options = ["--data", str(data), "--page", str(page)]
    runner = CliRunner()
    assert "`just update-fidelity` writes it" in runner.invoke(command, ["check", str(package), *options]).output

    made = runner.invoke(command, ["update", str(package), *options])
    assert made.exit_code == 0, made.output
    assert f"| `{FLOAT32_VARIANT}` |" in made.output
    assert read_results(data).packages[FLOAT32_VARIANT].sha256 == read_package(package).digest
    assert page.read_text().startswith("# Fidelity\n")
    assert runner.invoke(command, ["check", str(package), *options]).exit_code == 0

    data.write_text(data.read_text().replace("casts = 0", "casts = 1"))
    changed = runner.invoke(command, ["check", str(package), *options])
    assert changed.exit_code == 1
    assert f"{FLOAT32_VARIANT}: casts is 0; the data say 1" in changed.output


def test_an_update_fails_where_a_bar_does_not_hold_and_says_so_on_the_page(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "shipped_bars", lambda: {"float32": {"worst_stem_db": 200}})
    page = tmp_path / "fidelity.md"
    made = CliRunner().invoke(
        command, ["update", str(package), "--data", str(tmp_path / "fidelity.toml"), "--page", str(page)]
    )
    assert made.exit_code == 1
    assert (
        f"{FLOAT32_VARIANT} does not reach its bar: worst stem of every signal but the click >= 200 dB" in made.output
    )
    assert "**NO**" in page.read_text()


def test_packages_that_do_not_belong_together_are_refused(package: Path, small_package: Path, tmp_path: Path) -> None:
    options = ["--data", str(tmp_path / "fidelity.toml"), "--page", str(tmp_path / "fidelity.md")]
    for packages in ([small_package], [package, package]):
        refused = CliRunner().invoke(command, ["update", *map(str, packages), *options])
        assert "give one package of each variant" in str(refused.exception)
