"""Chromium without a window, and a page in it."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

_HOST = Path("/usr/bin")


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(_HOST))
    if found is None:
        pytest.fail(f"there is no {name}, neither on PATH nor in {_HOST}; `./bootstrap test-py` installs it on Debian")
    return found


@contextmanager
def browser(downloads: Path) -> Iterator[Chrome]:
    """Yield a browser that keeps what a page has it save in a folder."""
    if sys.platform != "linux":
        pytest.skip("the page is tried in Chromium on Linux alone")
    options = ChromeOptions()
    options.binary_location = _program("chromium")
    # Containers, and systems that deny user namespaces, have no sandbox to offer; the page is the project's own.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-audio-output"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(_program("chromedriver")))
    try:
        chrome.set_script_timeout(60)
        command(chrome, "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        yield chrome
    finally:
        chrome.quit()


def command(chrome: Chrome, name: str, **parameters: Any) -> None:
    """Call a method of Chromium's DevTools."""
    chrome.execute_cdp_cmd(name, parameters)


def show(chrome: Chrome, width: int, height: int, scheme: str) -> None:
    """Give the page a size and the system's colour scheme."""
    command(
        chrome,
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    # Nothing moves by itself, so that what is clicked stays where it was found.
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    command(chrome, "Emulation.setEmulatedMedia", features=features)
