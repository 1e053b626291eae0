"""Charts as files: the same bytes every time, whole or not at all, and nothing beside them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from htdemucs_coreml.charts import ChartError, chart_file

SIZE = (3.0, 2.0)
SVG = b'<?xml version="1.0" encoding="utf-8" standalone="no"?>'
PNG = b"\x89PNG\r\n\x1a\n"
DRAW = """
import sys
from pathlib import Path
from htdemucs_coreml.charts import chart_file

with chart_file(Path(sys.argv[1]), (3, 2)) as figure:
    axes = figure.subplots()
    axes.bar([1, 2], [3, 4], label="$ of all")
    axes.set_title("costs of $5")
    axes.legend()
"""


def _draw(path: Path) -> None:
    with chart_file(path, SIZE) as figure:
        figure.subplots().plot([1, 3, 2])


def _draw_elsewhere(path: Path, folder: Path, **environment: str) -> None:
    """Draw in a process of its own that runs in `folder`, without the environment of this one."""
    kept = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "")}
    libraries = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
    subprocess.run([sys.executable, "-c", DRAW, path], cwd=folder, env=kept | libraries | environment, check=True)


@pytest.mark.parametrize(("name", "head"), [("chart.svg", SVG), ("chart.png", PNG), ("CHART.PNG", PNG)])
def test_the_ending_says_the_format(tmp_path: Path, name: str, head: bytes) -> None:
    _draw(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(head)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_bytes_depend_on_what_is_drawn_alone(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "matplotlibrc").write_text("figure.facecolor: black\nsvg.fonttype: none\n")
    plain, odd = tmp_path / f"plain{suffix}", tmp_path / f"odd{suffix}"
    _draw_elsewhere(plain, tmp_path / "plain", PYTHONHASHSEED="1", TZ="UTC")
    _draw_elsewhere(odd, tmp_path / "odd", PYTHONHASHSEED="2", TZ="Asia/Kathmandu", SOURCE_DATE_EPOCH="5")
    assert plain.read_bytes() == odd.read_bytes()


def test_nothing_is_written_beside_the_chart(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    for folder in (home, temporary):
        folder.mkdir()
    _draw_elsewhere(tmp_path / "chart.svg", tmp_path, HOME=str(home), TMPDIR=str(temporary))
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["chart.svg", "home", "temporary"]


def test_a_chart_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), chart_file(path, SIZE) as figure:
        figure.subplots()
        raise ZeroDivisionError
    assert [file.name for file in tmp_path.iterdir()] == ["chart.svg"]
    assert path.read_text() == "old"


def test_a_chart_that_is_written_in_part_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chart.svg"
    path.write_text("old")

    def write_in_part(_: Figure, file: Path, **__: object) -> None:
        file.write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", write_in_part)
    with pytest.raises(ChartError, match=r"chart\.svg cannot be written: No space left on device"):
        _draw(path)
    assert [file.name for file in tmp_path.iterdir()] == ["chart.svg"]
    assert path.read_text() == "old"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(ChartError, match=r"folder\.svg cannot be written"):
        _draw(tmp_path / "folder.svg")
    with pytest.raises(ChartError, match=r"missing/chart\.svg cannot be written: No such file"):
        _draw(tmp_path / "missing" / "chart.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.svg"]


@pytest.mark.parametrize("name", ["chart.pdf", "chart"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ChartError, match=r"does not end in \.svg or \.png"):
        _draw(tmp_path / name)


def test_text_is_drawn_as_it_is(tmp_path: Path) -> None:
    with chart_file(tmp_path / "chart.svg", SIZE) as figure:
        figure.suptitle(r"$\frac{$")
    assert "frac" in (tmp_path / "chart.svg").read_text(encoding="utf-8")


def test_the_library_is_loaded_for_a_chart_alone() -> None:
    code = "import sys, htdemucs_coreml.charts; sys.exit('matplotlib' in sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=True
    )


def test_settings_of_a_chart_do_not_stay(tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 7}):
        _draw(tmp_path / "chart.svg")
        assert matplotlib.rcParams["font.size"] == 7
