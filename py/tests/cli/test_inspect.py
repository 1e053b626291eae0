"""``inspect``: figures per block and in total, rules of the Neural Engine, the chart."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from htdemucs_coreml.charts import ChartError
from htdemucs_coreml.cli import inspection_chart
from htdemucs_coreml.cli.inspect import command as inspect
from htdemucs_coreml.cli.inspection import block_name
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.mil.neural_engine import rules
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.precision.plans import parse_plan
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_VARIANT

PAGE = Path(__file__).parents[3] / "docs" / "inspect.md"
PLAN = parse_plan(
    "some",
    """
    summary = "The transformer and the spectrogram's decoders in float16"
    default = "float32"
    [[rules]]
    blocks = ["*_transformer_*", "frequency_decoder_*"]
    type = "float16"
    """,
)
COUNTS = ("operations", "casts", "multiply_adds", "constant_bytes", "unpacked_constant_bytes")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(inspect, [str(argument) for argument in arguments])


def figures_of(*arguments: object) -> Mapping[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    figures: Mapping[str, Any] = json.loads(result.output)
    return figures


@pytest.fixture(scope="module")
def package(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the small model in both float types; tests must not change it."""
    path = tmp_path_factory.mktemp("packages") / "small.mlpackage"
    convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_plan(PLAN), path)
    return path


def test_the_object_agrees_with_itself_and_with_info(package: Path) -> None:
    figures = figures_of(package, "--largest", 3)
    read = read_package(package)
    assert (figures["sha256"], figures["bytes"], figures["variant"]) == (read.digest, read.bytes, read.metadata.variant)
    for total, parts in (("operations", "operations_by_type"), ("operations", "operations_by_dtype")):
        assert figures[total] == sum(figures[parts].values())
    for parts in ("multiply_adds_by_type", "multiply_adds_by_dtype"):
        assert figures["multiply_adds"] == sum(figures[parts].values()) > 0
    assert figures["casts"] == figures["operations_by_type"]["cast"]
    assert figures["float16_share"] == figures["multiply_adds_by_dtype"]["float16"] / figures["multiply_adds"]
    assert 0 < figures["constant_bytes"] == figures["unpacked_constant_bytes"] < figures["bytes"]
    sizes = [constant["bytes"] for constant in figures["largest_constants"]]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_blocks_of_any_depth_add_up(package: Path, depth: int) -> None:
    figures = figures_of(package, "--depth", depth)
    blocks = figures["blocks"]
    for key in COUNTS:
        assert sum(block[key] for block in blocks.values()) == figures[key], key
    by_dtype: Counter[str] = Counter()
    for block in blocks.values():
        by_dtype.update(block["multiply_adds_by_dtype"])
    assert by_dtype == Counter(figures["multiply_adds_by_dtype"])
    peak = figures["peak_memory"]
    assert max(block["peak_memory"]["bytes"] for block in blocks.values()) == peak["bytes"]
    assert blocks[peak["block"]]["peak_memory"] == peak
    assert max(name.count(".") for name in blocks) == min(depth - 1, 3)


def test_a_block_is_named_by_the_first_modules_of_an_operations_path() -> None:
    assert block_name("frequency_encoder_0__dconv__1__3__conv", 1) == "frequency_encoder_0"
    assert block_name("frequency_encoder_0__dconv__1__3__conv", 3) == "frequency_encoder_0.dconv.1"
    assert block_name("frequency_encoder_0__gelu", 2) == "frequency_encoder_0"
    assert {block_name(name, 2) for name in ("core__sub", "core__transpose_3__cast", "sub", "")} == {"core"}


def test_rules_name_the_operations_that_break_them_by_block(package: Path, small_package: Path) -> None:
    float32 = figures_of(small_package)["neural_engine"]
    mixed = figures_of(package)["neural_engine"]
    assert [rule["id"] for rule in float32["rules"]] == [rule.id for rule in rules()]
    for rule in (*float32["rules"], *mixed["rules"]):
        assert sum(rule["blocks"].values()) == rule["operations"]
        assert len(rule["first"]) == min(rule["operations"], 3)
    first, second = ({rule["id"]: rule["operations"] for rule in one["rules"]} for one in (float32, mixed))
    assert 0 < second["float32"] < first["float32"]
    # Four decoders of the spectrogram upsample one axis alone.
    assert first["deconvolution-evenness"] == second["deconvolution-evenness"] == 4
    assert (float32["multiply_adds_within"], float32["operations_within"]) == (0, 0)
    # What is left is all in float16 but their deconvolutions. Attention stays: that it has to go is contested.
    by_type = Counter(figures_of(package)["multiply_adds_by_type"])
    left = ("conv float16", "linear float16", "scaled_dot_product_attention float16")
    assert mixed["multiply_adds_within"] == sum(by_type[name] for name in left) > 0
    assert by_type["scaled_dot_product_attention float16"] > 0


def test_tables_say_what_the_object_says_in_lines_that_fit(package: Path) -> None:
    figures = figures_of(package)
    output = run(package).output
    assert f"operations         {figures['operations']}, {figures['casts']} of them casts" in output
    for block, costs in figures["blocks"].items():
        numbers = rf"{costs['operations']} +{costs['casts']} .* {costs['peak_memory']['bytes'] / 1e6:.1f}"
        assert re.search(rf"^{re.escape(block)} +{numbers}$", output, re.MULTILINE), block
    for rule in figures["neural_engine"]["rules"]:
        broken = f"  {rule['id']}: {rule['operations']} operations" in output
        assert broken == (rule["operations"] > 0)
        assert all((f"    {source}" in output) == broken for source in rule["sources"][:1] if broken)
    assert "of the 2 GB that the design allows" in output
    assert max(map(len, output.splitlines()[1:])) <= 120


def test_the_documentation_has_every_key(package: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").split("## The object of `--json`")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, re.MULTILINE)
    documented = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    figures = figures_of(package)
    assert set(figures) == set(documented)
    # The second row to the fifth.
    costs = {key for row in rows[1:5] for key in re.findall(r"`(\w+)`", row)}
    assert {frozenset(block) for block in figures["blocks"].values()} == {frozenset(costs)}


def test_a_chart_comes_beside_the_object(package: Path, tmp_path: Path) -> None:
    assert figures_of(package, "--chart", tmp_path / "chart.PNG") == figures_of(package)
    assert [file.name for file in tmp_path.iterdir()] == ["chart.PNG"]
    assert (tmp_path / "chart.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_chart_shows_every_block(package: Path, tmp_path: Path) -> None:
    figures = figures_of(package, "--depth", 2, "--chart", tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    # Letters are paths; what they say stands beside them.
    assert set(figures["blocks"]) <= set(re.findall("<!-- (.*) -->", drawn))
    assert re.search(rf"{figures['casts']} casts, .* in float16 -->", drawn)


def test_a_chart_of_too_many_blocks_is_refused(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_chart, "_MAXIMUM_BLOCKS", 10)
    result = run(package, "--chart", tmp_path / "chart.svg")
    assert isinstance(result.exception, ChartError)
    assert "take a smaller --depth" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_another_ending_of_a_chart_is_wrong_usage_before_anything_is_read(tmp_path: Path) -> None:
    result = run(tmp_path / "missing.mlpackage", "--chart", tmp_path / "chart.pdf")
    assert result.exit_code == 2
    assert "has to end in .svg or .png" in result.output


def test_nothing_is_printed_where_a_chart_cannot_be_written(package: Path, tmp_path: Path) -> None:
    result = run(package, "--chart", tmp_path / "missing" / "chart.svg")
    assert isinstance(result.exception, ChartError)
    assert result.output == ""
