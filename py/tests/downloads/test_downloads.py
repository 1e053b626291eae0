"""Downloads: whatever a server does, the target is the expected file or is not there."""

import hashlib
import io
import os
import stat
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPMessage
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from file_server import (
    Answer,
    Answering,
    FileServer,
    dropping,
    failing,
    hanging_up,
    other_part,
    serving,
    silent_after,
    sound,
    unmeasured,
    whole,
)
from htdemucs_coreml import downloads
from htdemucs_coreml.downloads import Download, DownloadError, download

CONTENT = bytes(range(256)) * 5000
LIMIT = 4 << 20


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tests wait for nothing, and talk to their own server directly."""
    monkeypatch.setattr(downloads, "RETRY_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 10.0)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "w.safetensors"


def wanted(server: FileServer, content: bytes = CONTENT, size: int | None = len(CONTENT)) -> Download:
    return Download(server.url, hashlib.sha256(content).hexdigest(), size, LIMIT)


def unheard(*_: object) -> None:
    """Take progress that nobody watches."""


def get(server: FileServer, target: Path, size: int | None = len(CONTENT)) -> bool:
    return download(wanted(server, size=size), target, unheard)


def partials(target: Path) -> list[Path]:
    return [path for path in target.parent.iterdir() if path != target] if target.parent.exists() else []


def place_partial(target: Path, content: bytes) -> None:
    target.parent.mkdir(exist_ok=True, parents=True)
    digest = hashlib.sha256(CONTENT).hexdigest()
    (target.parent / f".{target.name}.{digest[:16]}.partial").write_bytes(content)


def test_a_file_is_downloaded_whole_with_ordinary_permissions(server: FileServer, target: Path) -> None:
    reported: list[tuple[int, int | None]] = []
    assert download(wanted(server), target, lambda done, total: reported.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert not partials(target)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask
    assert reported == sorted(reported)
    assert reported[-1] == (len(CONTENT), len(CONTENT))
    assert len(reported) > 1


def test_what_is_there_and_right_is_not_downloaded(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    before = target.parent.stat().st_mtime_ns
    assert not get(server, target)
    assert not server.requests
    assert target.parent.stat().st_mtime_ns == before, "a folder that may not be written to would have failed"


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x"])
def test_what_is_there_and_wrong_is_replaced(server: FileServer, target: Path, damaged: bytes) -> None:
    target.parent.mkdir()
    target.write_bytes(damaged)
    assert get(server, target)
    assert target.read_bytes() == CONTENT


def test_a_lost_connection_is_taken_up_where_it_was_lost(server: FileServer, target: Path) -> None:
    server.answers = [dropping(1000), dropping(500)]
    get(server, target)
    assert server.ranges == [None, "bytes=1000-", "bytes=1500-"]
    assert target.read_bytes() == CONTENT


def test_what_an_earlier_run_has_left_is_taken_up(server: FileServer, target: Path) -> None:
    server.answers = [dropping(1000), *[hanging_up] * 4]
    with pytest.raises(DownloadError, match=r"failed at 1000 of 1280000 bytes .* run the command again, it goes on"):
        get(server, target)
    assert not target.exists()
    assert [path.stat().st_size for path in partials(target)] == [1000]
    get(server, target)
    assert server.ranges[-1] == "bytes=1000-"
    assert target.read_bytes() == CONTENT
    assert not partials(target)


def test_a_complete_partial_file_needs_no_request(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT)
    assert get(server, target)
    assert not server.requests
    assert target.read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_sends_all_of_it_again(server: FileServer, target: Path) -> None:
    server.answers = [dropping(1000), whole]
    get(server, target)
    assert server.ranges == [None, "bytes=1000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_partial_file_that_does_not_fit_is_begun_anew(server: FileServer, target: Path, size: int | None) -> None:
    place_partial(target, b"not the beginning of it")
    get(server, target, size)
    assert server.ranges == ["bytes=23-", None]
    assert target.read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_begun_anew(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT + b"x")
    get(server, target)
    assert server.ranges == [None]
    assert target.read_bytes() == CONTENT


def test_what_is_sent_again_leaves_nothing_of_what_was_there(server: FileServer, target: Path) -> None:
    def whole_but_lost(request: Answering) -> None:
        request.head(200, Content_Length=len(CONTENT))
        request.wfile.write(CONTENT[:10])

    place_partial(target, CONTENT[:1000])
    server.answers = [whole_but_lost]
    get(server, target)
    assert server.ranges == ["bytes=1000-", "bytes=10-"]


def test_a_server_that_has_no_more_bytes_than_are_here_is_asked_for_all(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT[:10])
    server.answers = [failing(416)]
    get(server, target)
    assert server.ranges == ["bytes=10-", None]
    assert target.read_bytes() == CONTENT


def test_a_complete_partial_file_of_unknown_size_is_recognised(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT)
    get(server, target, None)
    assert server.ranges == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("answer", [sound, whole, unmeasured, dropping(77)])
def test_a_size_need_not_be_known(server: FileServer, target: Path, answer: Answer) -> None:
    server.answers = [answer]
    get(server, target, None)
    assert target.read_bytes() == CONTENT


answers = st.one_of(
    st.builds(dropping, st.integers(0, len(CONTENT))),
    st.sampled_from([whole, unmeasured, hanging_up, failing(503), failing(429), sound]),
)
# Any bytes, or so many of the right ones and of others behind them.
left_behind = st.binary(max_size=50) | st.integers(0, len(CONTENT) + 10)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(answers, max_size=3), left_behind, st.sampled_from([len(CONTENT), None]))
def test_whatever_happens_on_the_way_the_file_arrives(
    server: FileServer,
    tmp_path_factory: pytest.TempPathFactory,
    plan: list[Answer],
    left: bytes | int,
    size: int | None,
) -> None:
    target = tmp_path_factory.mktemp("target") / "w.safetensors"
    place_partial(target, left if isinstance(left, bytes) else (CONTENT + bytes(10))[:left])
    server.answers = list(plan)
    get(server, target, size)
    assert target.read_bytes() == CONTENT
    assert not partials(target)
    server.answers.clear()


def changed(content: bytes) -> Answer:
    def answer(request: Answering) -> None:
        request.server.content = content
        sound(request)

    return answer


@pytest.mark.parametrize(
    ("message", "answer", "requests"),
    [
        ("offers 1279999 bytes, not 1280000", changed(CONTENT[:-1]), 1),
        ("offers 1280001 bytes, not 1280000", changed(CONTENT + b"x"), 1),
        (r"has sha256 [0-9a-f]{64}, not [0-9a-f]{64}, and was thrown away", changed(CONTENT[:-1] + b"x"), 1),
        ("answered 404 Not Found", failing(404), 1),
        ("answered 403 Forbidden", failing(403), 1),
        ("answered 206 Partial Content to what it was asked", other_part, 1),
        ("answered 204 No Content to what it was asked", failing(204), 1),
        ("is not https, so that nothing is downloaded from it", failing(302, Location="http://example.org/f"), 1),
        ("is not https, so that nothing is downloaded from it", failing(302, Location="ftp://127.0.0.1/f"), 1),
        ("(is not https|not allowed)", failing(302, Location="file:///etc/passwd"), 1),
    ],
)
def test_a_server_with_another_file_is_told_and_nothing_stays(
    server: FileServer, target: Path, message: str, answer: Answer, requests: int
) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadError, match=message):
        get(server, target)
    assert len(server.requests) == requests
    assert not target.exists()
    assert not partials(target)


def test_more_bytes_than_expected_are_not_kept(server: FileServer, target: Path) -> None:
    server.content = CONTENT + bytes(1 << 20)
    server.answers = [unmeasured]
    with pytest.raises(DownloadError, match="sends more than 1280000 bytes"):
        get(server, target)
    assert not partials(target)


@pytest.mark.parametrize("answer", [sound, unmeasured])
def test_files_of_unknown_size_are_bounded(server: FileServer, target: Path, answer: Answer) -> None:
    server.content = bytes(LIMIT + 1)
    server.answers = [answer]
    with pytest.raises(DownloadError, match=r"(offers 4194305 bytes, not at most|sends more than) 4194304"):
        get(server, target, None)
    assert not partials(target)


def test_another_total_in_a_part_is_another_file(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT[:10])
    server.content = CONTENT + b"x"
    with pytest.raises(DownloadError, match="offers 1280001 bytes"):
        get(server, target)
    assert not target.exists()


def test_a_part_that_begins_elsewhere_is_not_appended(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT[:10])
    server.answers = [other_part]
    get(server, target)
    assert server.ranges == ["bytes=10-", None]
    assert target.read_bytes() == CONTENT


def test_a_server_that_keeps_failing_is_given_up(server: FileServer, target: Path) -> None:
    server.answers = [failing(503)] * 10
    with pytest.raises(DownloadError, match=r"failed at 0 of 1280000 bytes \(it answered 503 Service Unavailable\)"):
        get(server, target)
    assert len(server.requests) == 4
    assert not partials(target)


def test_redirections_are_followed_with_the_part_that_is_asked_for(server: FileServer, target: Path) -> None:
    place_partial(target, CONTENT[:10])
    server.answers = [failing(302, Location="/elsewhere")]
    get(server, target)
    assert server.ranges == ["bytes=10-", "bytes=10-"]
    assert target.read_bytes() == CONTENT


def test_there_are_as_many_attempts_as_it_takes_while_each_brings_something(server: FileServer, target: Path) -> None:
    server.answers = [answer for _ in range(5) for answer in (dropping(1000), hanging_up, failing(503))]
    get(server, target)
    assert len(server.requests) == 16
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://127.0.0.1/f", "http://example.org/f", "ftp://example.org/f"])
def test_https_is_not_left_for_anything_less(url: str) -> None:
    request = urllib.request.Request("https://example.org/f")
    with pytest.raises(DownloadError, match="which is not https"):
        downloads._SafeRedirects().redirect_request(request, io.BytesIO(), 302, "Found", HTTPMessage(), url)


@pytest.mark.parametrize(
    "location",
    ["https://[bad/", f"https://{'a' * 64}.example/", "https://%c3%28/", "https://127.0.0.1:port/"],
)
def test_a_redirection_to_what_is_no_address_is_told(server: FileServer, target: Path, location: str) -> None:
    server.answers = [failing(302, Location=location)]
    with pytest.raises(DownloadError, match=r"leads to an address that is none \(.+\); get the file elsewhere"):
        get(server, target)
    assert len(server.requests) == 1
    assert partials(target) == []


def test_redirections_without_end_are_told(server: FileServer, target: Path) -> None:
    server.answers = [failing(302, Location="/around")] * 20
    with pytest.raises(DownloadError, match=r"answered 302 .*infinite loop"):
        get(server, target)


def test_a_server_that_falls_silent_is_left(server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.2)
    ended = threading.Event()
    server.answers = [silent_after(1000, ended), *[silent_after(0, ended)] * 4]
    try:
        with pytest.raises(DownloadError, match=r"failed at 1000 of 1280000 bytes \(.*timed out"):
            get(server, target)
    finally:
        ended.set()
    get(server, target)
    assert target.read_bytes() == CONTENT


def test_a_machine_that_does_not_answer_is_told_at_once(target: Path) -> None:
    nobody = Download("http://127.0.0.1:9/w", "0" * 64, 1, LIMIT)
    with pytest.raises(DownloadError, match=r"cannot be reached \(.*refused\); check the network"):
        download(nobody, target, unheard)
    assert not partials(target)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/w",
        "ftp://127.0.0.1/w",
        "file:///etc/passwd",
        "http://localhost/w",
        "http://[::2]/w",
        "w",
        "",
    ],
)
def test_only_https_is_downloaded_from(target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="is not https"):
        download(Download(url, "0" * 64, 1, LIMIT), target, unheard)


def test_of_two_downloads_of_a_file_one_waits_for_the_other(server: FileServer, target: Path) -> None:
    waits = threading.Event()

    def after_the_other_waits(request: Answering) -> None:
        assert waits.wait(60)
        sound(request)

    server.answers = [after_the_other_waits]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(download, wanted(server), target, unheard, waits.set) for _ in range(2)]
        assert sorted(each.result() for each in both) == [False, True]
    assert len(server.requests) == 1
    assert target.read_bytes() == CONTENT
    assert not partials(target)


def test_who_waited_for_a_download_that_failed_takes_it_up(server: FileServer, target: Path) -> None:
    waits = threading.Event()

    def lost_after_the_other_waits(request: Answering) -> None:
        assert waits.wait(60)
        dropping(1000)(request)

    server.answers = [lost_after_the_other_waits, *[hanging_up] * 4]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(download, wanted(server), target, unheard, waits.set) for _ in range(2)]
        errors = [each.exception() for each in both]
    assert sorted(error is None for error in errors) == [False, True]
    assert server.ranges == [None, *["bytes=1000-"] * 5]
    assert target.read_bytes() == CONTENT


def test_many_downloads_at_once_disturb_nobody(server: FileServer, target: Path) -> None:
    server.answers = [dropping(300_000)] * 3
    with ThreadPoolExecutor(8) as pool:
        each = [pool.submit(get, server, target) for _ in range(8)]
        assert sum(one.result() for one in each) == 1
    assert target.read_bytes() == CONTENT
    assert not partials(target)


def test_a_full_disk_is_told_as_such(server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        get(server, target)
    assert len(server.requests) == 1
    assert not target.exists()
