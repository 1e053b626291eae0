"""A page is one file that reaches nothing, says what it was given as text, and is the same every time."""

import base64
import hashlib
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.listening.description import Report, Song, Stem
from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.listening.page import render, write_page
from listening_reports import noise, noisy_song, report

HOSTILE = (
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt; {{ 7 * 7 }} {% raw %} $\\frac{",
    "--><!-- ]]> </style>",
    "line\nbreak\x00\x1b[31m\udcff",
)
RENDER = """
import sys
from listening_reports import noisy_song, report
from htdemucs_coreml.listening.page import render
sys.stdout.write(render(report([noisy_song("one", ["drums", "bass"], ["mixed", "other"])])))
"""


class _Parsed(HTMLParser):
    """Elements with the names of their attributes, all attributes, and text outside of scripts and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.structure: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.text: list[str] = []
        self._open: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.structure.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._open = tag if tag in self.inline and not attrs else None

    def handle_endtag(self, tag: str) -> None:
        self.structure.append((f"/{tag}", ()))
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.text.append(data)
        else:
            self.inline[self._open].append(data)

    def value(self, tag: str, attribute: str) -> str:
        return next(value for a, b, value in self.attributes if (a, b) == (tag, attribute) and value is not None)


def _small(song: str = "song", stem: str = "drums", result: str = "mixed", title: str = "title") -> Report:
    return report([noisy_song(song, [stem], [result])], title, (title,))


@pytest.fixture(scope="module")
def small_page() -> str:
    return render(_small())


def _sound(page: str, place: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    found = re.search(rf'<script type="text/plain" id="{place}">([^<]*)</script>', page)
    assert found is not None
    content = base64.b64decode(found[1], validate=True)
    assert content.startswith(b"fLaC")
    samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    return np.asarray(samples.T)


def test_nothing_in_it_is_elsewhere(small_page: str) -> None:
    assert "://" not in small_page
    for tag, name, value in _Parsed(small_page).attributes:
        if name in ("src", "srcset", "href", "action", "data", "poster", "background"):
            assert value is not None and value.startswith(("data:", "#")), (tag, name)


def test_its_policy_allows_its_own_script_and_style_and_no_connection(small_page: str) -> None:
    parsed = _Parsed(small_page)
    policy = dict(part.split(" ", 1) for part in parsed.value("meta", "content").split("; "))
    for directive, tag in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256("".join(parsed.inline[tag]).encode()).digest()).decode()
        assert policy.pop(directive) == f"'sha256-{digest}'"
    assert policy == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    assert not any(name == "style" or name.startswith("on") for _, name, _ in parsed.attributes)


@pytest.mark.parametrize("text", HOSTILE)
def test_names_change_text_and_never_structure(small_page: str, text: str) -> None:
    page = render(_small(song=text, stem=text, result=text, title=text))
    assert page.isascii() or page.encode()
    parsed, plain = _Parsed(page), _Parsed(small_page)
    assert parsed.structure == plain.structure
    assert parsed.inline == plain.inline
    assert not any(character in page for character in "\x00\x1b\udcff")


def test_names_are_told_as_they_are() -> None:
    text = '<b>"Tom & Jerry\'s"</b>'
    parsed = _Parsed(render(_small(song=text)))
    assert text in parsed.text
    assert parsed.value("article", "data-song") == text


def test_the_same_report_gives_the_same_bytes_in_another_process() -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", RENDER],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed, "TZ": zone},
            check=True,
            capture_output=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Kathmandu"))
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith(b"<!doctype html>")


def test_sounds_are_there_to_16_bits_and_results_at_the_level_of_the_reference() -> None:
    reference = noise(1, 3000)
    page = render(
        report([Song("song", 1.0, 0.0, noise(2, 3000), (Stem("drums", reference, {"soft": reference * 0.8}),))])
    )
    expected = np.rint(reference.astype(np.float64) * 32767)
    np.testing.assert_array_equal(_sound(page, "reference-1-1"), expected)
    np.testing.assert_allclose(_sound(page, "result-1-1-1"), expected, atol=1)
    np.testing.assert_array_equal(_sound(page, "mix-1"), np.rint(noise(2, 3000).astype(np.float64) * 32767))
    assert "level matched by +1.94 dB" in page


def test_a_song_that_would_clip_is_made_softer_as_a_whole() -> None:
    reference = noise(1, 3000)
    loud = reference / np.abs(reference).max() * np.float32(2)
    page = render(report([Song("song", 1.0, 0.0, loud, (Stem("drums", loud / 2, {"same": loud / 2}),))]))
    assert np.abs(_sound(page, "mix-1")).max() == 32767
    assert np.abs(_sound(page, "reference-1-1").astype(int)).max() in (16383, 16384)
    assert "everything −6.02 dB" in page  # noqa: RUF001


def test_a_silent_stem_is_told() -> None:
    silence = np.zeros((2, 3000), np.float32)
    page = render(
        report([Song("song", 1.0, 0.0, noise(2, 3000), (Stem("drums", silence, {"leaky": noise(3, 3000)}),))])
    )
    assert "level as it is, the reference is silent here" in page
    assert not _sound(page, "reference-1-1").any()


def test_its_codec_is_stated(small_page: str) -> None:
    assert "FLAC, 16 bits, 44,100 Hz" in small_page


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    size = write_page(_small(), path, 10_000_000)
    assert path.stat().st_size == size
    before = path.read_bytes()
    with pytest.raises(
        ListeningError, match=r"would have .* MB, more than the .* take fewer songs, or more --megabytes"
    ):
        write_page(_small(song="other"), path, size - 1000)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_is_too_large_names_the_length_that_fits(tmp_path: Path) -> None:
    long = report([noisy_song("song", ["drums"], ["mixed"], samples=4 * SAMPLE_RATE_HZ)])
    with pytest.raises(ListeningError, match=r"take --seconds (\d[.\d]*)") as told:
        write_page(long, tmp_path / "page.html", 2_000_000)
    found = re.search(r"--seconds ([\d.]+)", str(told.value))
    assert found is not None
    fitting = report([noisy_song("song", ["drums"], ["mixed"], samples=round(float(found[1]) * SAMPLE_RATE_HZ))])
    write_page(fitting, tmp_path / "page.html", 2_000_000)
