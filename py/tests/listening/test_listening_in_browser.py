"""The page in Chromium: it loads without complaint, players play in place, a blind test is finished by keyboard."""

import json
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from browser import browser, show
from htdemucs_coreml.listening.page import write_page
from listening_reports import FIRST_HZ, SLOPE_HZ_PER_S, gliding_song, report

SECONDS = 6.0
PATIENCE_S = 30
SONGS = ("plain", "a-song-with-a-very-long-name-without-a-space-in-it-" * 3, "<b>third</b> & \u00fcnly")
STEMS = ("drums", "vocals")
KEYS = {"1": "mix", "2": "reference", "3": "mixed", "4": "budget20"}
SAME_PLACE_S = 0.05

# What goes to the loudspeaker is also analysed: a glide's frequency says which sound is heard, and where in it.
LISTEN = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    if (!window.ear) {
      window.ear = new AnalyserNode(target.context, {fftSize: 2048, smoothingTimeConstant: 0, minDecibels: -90});
    }
    connect.call(this, window.ear);
  }
  return connect.call(this, target, ...rest);
};
window.heardHertz = () => {
  const levels = new Float32Array(ear.frequencyBinCount);
  ear.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels));
  return levels[loudest] < -60 ? null : loudest * ear.context.sampleRate / ear.fftSize;
};
"""
EAR_DELAY_S = 1024 / 44100


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def opened(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(report([gliding_song(name, STEMS, SECONDS) for name in SONGS]), path, 100_000_000)
    with browser(downloads) as chrome:
        chrome.get(path.as_uri())
        chrome.execute_script(LISTEN)
        yield chrome


@pytest.fixture
def page(opened: Chrome) -> Iterator[Chrome]:
    """The page at a desk; a test must not leave anything in the console."""
    show(opened, 1200, 900, "light")
    yield opened
    assert opened.get_log("browser") == []  # type: ignore[no-untyped-call]


def _script(page: Chrome, code: str, *arguments: Any) -> Any:
    return page.execute_script(code, *arguments)


def _until(page: Chrome, code: str, *arguments: Any) -> Any:
    return WebDriverWait(page, PATIENCE_S, poll_frequency=0.02).until(lambda _: _script(page, code, *arguments))


def _press(page: Chrome, *keys: str) -> None:
    ActionChains(page, duration=0).send_keys(*keys).perform()


def _element(page: Chrome, selector: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, selector)


def _place_by_ear(page: Chrome, name: str) -> tuple[float, float]:
    """The place that a glide's frequency tells, and the one that the player shows."""
    hertz, shown = _script(page, "return [heardHertz(), listening.players[0].position]")
    assert hertz is not None
    return (hertz - FIRST_HZ[name]) / SLOPE_HZ_PER_S + EAR_DELAY_S, shown


def _hears(page: Chrome, name: str) -> None:
    first = FIRST_HZ[name]
    _until(page, "const f = heardHertz(); return f >= arguments[0] && f <= arguments[1]", first - 50, first + 3050)


def test_every_player_plays_and_only_one_at_a_time(page: Chrome) -> None:
    buttons = page.find_elements(By.CSS_SELECTOR, ".player .play")
    assert len(buttons) == len(SONGS) * len(STEMS)
    for at, button in enumerate(buttons):
        button.click()
        _until(page, "return listening.players[arguments[0]].position > 0.2", at)
        assert _script(page, "return listening.players.filter((each) => each.deck?.playing).length") == 1
        assert _script(page, "return listening.players[arguments[0]].playing", at)
    assert _script(page, "return Number(document.querySelectorAll('.seek')[arguments[0]].value) > 0", len(buttons) - 1)
    buttons[-1].click()
    assert not _script(page, "return listening.players.some((each) => each.playing)")


def test_keys_choose_what_is_heard_at_the_same_place(page: Chrome) -> None:
    _element(page, "#stem-1-1 .play").click()
    _press(page, "2", Keys.HOME)
    _hears(page, "reference")
    for key, name in [*KEYS.items(), *KEYS.items()]:
        before, after = _script(
            page,
            """
            const player = listening.players[0], before = player.position;
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: arguments[0], bubbles: true}));
            return [before, player.position];
            """,
            key,
        )
        assert abs(after - before) < SAME_PLACE_S
        _hears(page, name)
        heard, shown = _place_by_ear(page, name)
        assert abs(heard - shown) < SAME_PLACE_S
        pressed = page.find_elements(By.CSS_SELECTOR, "#stem-1-1 .tracks [aria-pressed=true]")
        assert [element.text.split()[0] for element in pressed] == [key]
    _press(page, " ")
    assert not _script(page, "return listening.players[0].playing")


def test_arrows_and_the_slider_move(page: Chrome) -> None:
    _element(page, "#stem-1-1 .play").click()
    _press(page, " ", Keys.HOME)
    assert _script(page, "return listening.players[0].position") == 0
    _press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert _script(page, "return listening.players[0].position") == pytest.approx(3)
    _press(page, Keys.ARROW_LEFT)
    assert _element(page, "#stem-1-1 .time").text == "0:02.0 / 0:06.0"
    canvas = _element(page, "#stem-1-1 .canvas")
    ActionChains(page).move_to_element_with_offset(canvas, canvas.size["width"] // 4, 0).click().perform()
    assert _script(page, "return listening.players[0].position") == pytest.approx(0.75 * SECONDS, abs=0.05)


def test_a_round_is_finished_by_keyboard_and_saved(page: Chrome, downloads: Path) -> None:
    # What chance gives is known here: X is A, B, A, B, B.
    _script(
        page,
        "const bits = [0, 1, 0, 1, 1]; crypto.getRandomValues = (into) => { into[0] = bits.shift(); return into; }",
    )
    _element(page, "#stem-2-1 .open-test").send_keys(Keys.ENTER)
    _element(page, "#test .against").send_keys("budget20")
    _element(page, "#test .trials").send_keys("5")
    assert _element(page, "#test .needed").text == "p < 0.05 takes at least 5 of 5 right."
    _element(page, "#test .start").send_keys(Keys.ENTER)
    for trial, x in enumerate(["reference", "budget20", "reference", "budget20", "budget20"], start=1):
        _until(
            page, "return document.querySelector('#test .progress').textContent === arguments[0]", f"Trial {trial} of 5"
        )
        assert not _element(page, "#test [data-answer=A]").is_enabled()
        _press(page, "1")
        assert _element(page, "#test .progress").text == f"Trial {trial} of 5"
        for key, name in (("b", "budget20"), ("a", "reference"), ("x", x)):
            _press(page, key)
            _hears(page, name)
        assert "right" not in _element(page, "#test .progress").text
        assert not _element(page, "#test .outcome").is_displayed()
        _press(page, "2" if trial > 3 else "1")

    assert _element(page, "#test .verdict").text == "4 of 5 right, p = 0.188"
    assert _element(page, "#test .formula").text == "p = Σ C(5, k) / 2^5 for k = 4 … 5 = 0.188"
    assert len(page.find_elements(By.CSS_SELECTOR, "#test .answers-given .wrong")) == 1
    _element(page, "#test .download").send_keys(Keys.ENTER)
    WebDriverWait(page, PATIENCE_S).until(lambda _: list(downloads.glob("*.json")))
    (saved,) = downloads.glob("*.json")
    outcome = json.loads(saved.read_text())
    assert (outcome["correct"], outcome["total"], outcome["p_value"]) == (4, 5, 6 / 32)
    assert (outcome["song"], outcome["stem"], outcome["b"]) == (SONGS[1], STEMS[0], "budget20")
    assert "".join(trial["x"] for trial in outcome["trials"]) == "ABABB"
    assert "".join(trial["answer"] for trial in outcome["trials"]) == "AAABB"
    _press(page, Keys.ESCAPE)
    assert not _element(page, "#test").is_displayed()


def test_the_p_value_is_that_of_the_binomial_test(page: Chrome) -> None:
    for trials in range(1, 21):
        found = _script(
            page, "return [...Array(arguments[0] + 1).keys()].map((k) => listening.pValue(k, arguments[0]))", trials
        )
        tails = [sum(math.comb(trials, k) for k in range(correct, trials + 1)) for correct in range(trials + 1)]
        assert [Fraction(p) for p in found] == [Fraction(tail, 2**trials) for tail in tails]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_colour_schemes(page: Chrome, scheme: str) -> None:
    show(page, 360, 740, scheme)
    assert _script(page, "return [document.documentElement.scrollWidth, document.body.scrollWidth]") == [360, 360]
    colours = _script(page, "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
    background, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (background > ink) == (scheme == "light")
    # Charts are drawn for each scheme; what is chosen is loaded.
    _until(page, "return document.querySelector('img.plot').complete")
    chosen = _script(
        page, "const i = document.querySelector('img.plot'); return [i.currentSrc === i.src, i.naturalWidth]"
    )
    assert chosen[0] == (scheme == "light")
    assert chosen[1] > 0


def test_everything_that_can_be_used_has_a_name(page: Chrome) -> None:
    for element in page.find_elements(By.CSS_SELECTOR, "#song-1 button, #song-1 input, nav a, [role=region]"):
        assert element.accessible_name
    referred = _script(
        page, "return [...document.querySelectorAll('[aria-labelledby]')].map((e) => e.getAttribute('aria-labelledby'))"
    )
    assert all(_script(page, "return document.getElementById(arguments[0]) !== null", name) for name in referred)
    assert _script(page, "return [...document.images].every((image) => image.alt)")
