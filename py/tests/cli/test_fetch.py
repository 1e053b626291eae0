"""The command ``fetch``, and commands that find what it has fetched."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
from click.testing import CliRunner, Result

from documented_events import documented_events
from file_server import FileServer, dropping, failing, hanging_up, serving, silent_after
from htdemucs_coreml import downloads
from htdemucs_coreml.cli import convert as convert_module
from htdemucs_coreml.cli import fetch as fetch_module
from htdemucs_coreml.cli.fetch_report import JSONFetchReport, TextFetchReport
from htdemucs_coreml.cli.separate import command as separate_command
from htdemucs_coreml.cli.verify import command as verify_command
from htdemucs_coreml.files import sha256_file
from htdemucs_coreml.models.registry import ModelEntry, PublishedFile, bags
from htdemucs_coreml.weights.cache import cache_folder
from htdemucs_coreml.weights.checkpoint import Checkpoint
from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.fixture import write_fixture_weights
from htdemucs_coreml.weights.source import load_weights
from small_model import SMALL_ENTRY


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "small.safetensors"
    write_fixture_weights(path, SMALL_ENTRY)
    return path


@pytest.fixture
def server(weights: Path) -> Iterator[FileServer]:
    with serving(weights.read_bytes()) as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, no proxy and no patience."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setattr(downloads, "RETRY_SECONDS", (0.0,))
    return tmp_path / "cache" / "htdemucs-coreml"


@pytest.fixture
def entry(server: FileServer, weights: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """A model whose weights the test's server publishes, in place of every model of the registry."""
    published = PublishedFile("small.safetensors", server.url, weights.stat().st_size, sha256_file(weights))
    entry = replace(SMALL_ENTRY, licence="ask its authors", weights=(published,))
    monkeypatch.setattr(fetch_module, "find_model", lambda _: entry)
    return entry


def with_open_pin(entry: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    published = replace(entry.weights[0], bytes=None, sha256=None, open="nobody has confirmed it")
    opened = replace(entry, weights=(published,))
    monkeypatch.setattr(fetch_module, "find_model", lambda _: opened)
    return opened


def fetch(*arguments: object) -> Result:
    return CliRunner().invoke(fetch_module.command, [str(argument) for argument in arguments])


def process_of(server: FileServer, weights: Path, *arguments: str) -> list[str]:
    """The command line of ``fetch`` as a process of its own; each model has a file of its name."""
    script = Path(__file__).with_name("interrupted_fetch.py")
    facts = [server.url, str(weights.stat().st_size), sha256_file(weights)]
    return [sys.executable, str(script), *facts, "fetch", *arguments]


@pytest.mark.usefixtures("entry")
def test_fetch_says_the_licence_and_prints_the_path_last(cache: Path, weights: Path) -> None:
    result = fetch("small")
    path = cache / "small.safetensors"
    assert result.exit_code == 0
    assert "licence of the weights of small: ask its authors\n" in result.stderr
    assert "was downloaded: sha256 " in result.stderr
    assert result.stdout == f"{path}\n"
    assert path.read_bytes() == weights.read_bytes()


@pytest.mark.usefixtures("entry")
def test_what_is_there_is_said_and_not_fetched_again(server: FileServer) -> None:
    first = fetch("small")
    second = fetch("small")
    assert second.stdout == first.stdout
    assert "was already there" in second.stderr
    assert len(server.requests) == 1


@pytest.mark.usefixtures("entry")
def test_quiet_leaves_the_path(tmp_path: Path) -> None:
    result = fetch("small", "--quiet", "-o", tmp_path / "new" / "folder")
    assert (result.stdout, result.stderr) == (f"{tmp_path / 'new' / 'folder' / 'small.safetensors'}\n", "")


@pytest.mark.usefixtures("entry")
@pytest.mark.parametrize("name", ["a\x07b", "a\x9bb", "a\nb"])
def test_the_path_is_printed_without_control_characters(tmp_path: Path, name: str) -> None:
    escaped = name.encode("unicode_escape").decode()
    assert fetch("small", "-o", tmp_path / name).stdout == f"{tmp_path}/{escaped}/small.safetensors\n"


@pytest.mark.usefixtures("entry")
def test_json_is_one_event_a_line(cache: Path, weights: Path) -> None:
    result = fetch("small", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == ["note", "done", "summary"]
    size = weights.stat().st_size
    progress = [event for event in events if event["event"] == "progress"]
    assert progress[-1] == {
        "event": "progress",
        "file": "small.safetensors",
        "bytes_done": size,
        "bytes_total": size,
    }
    done = {"file": "small.safetensors", "path": str(cache / "small.safetensors"), "sha256": sha256_file(weights)}
    assert {"event": "done", **done, "downloaded": True} in events
    assert events[-1] == {"event": "summary", "done": 1, "failed": 0}
    quiet = [json.loads(line)["event"] for line in fetch("small", "--json", "--quiet").stdout.splitlines()]
    assert quiet == ["done", "summary"]


@pytest.mark.usefixtures("entry")
def test_every_event_is_documented_with_what_it_holds(server: FileServer, cache: Path) -> None:
    printed = fetch("small", "--json").stdout
    (cache / "small.safetensors").unlink()
    server.answers = [failing(404)]
    printed += fetch("small", "--json").stdout
    events = [json.loads(line) for line in printed.splitlines()]
    documented = documented_events("fetch.md")
    assert {event["event"]: event.keys() - {"event"} for event in events} == documented
    listed = ", ".join(documented)
    assert f"lines of JSON to standard output: {listed}." in " ".join(fetch("--help").stdout.split())


@pytest.mark.usefixtures("entry")
def test_a_failure_is_one_line_and_exit_code_1(server: FileServer, cache: Path) -> None:
    server.answers = [failing(404)] * 2
    result = fetch("small", "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: small.safetensors: {server.url} answered 404 Not Found; try again later, or get the file elsewhere\n"
    )
    events = [json.loads(line)["event"] for line in fetch("small", "--json", "--quiet").stdout.splitlines()]
    assert events == ["error", "summary"]
    assert not list(cache.iterdir())


@pytest.mark.usefixtures("entry")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = fetch("small", "-o", tmp_path / "file", "--quiet")
    assert result.exit_code == 1
    assert result.stderr == f"error: {tmp_path / 'file' / 'small.safetensors'}: Not a directory\n"


def test_a_file_that_is_not_pinned_needs_a_sha256(
    entry: ModelEntry, weights: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = with_open_pin(entry, monkeypatch)
    refused = fetch("small")
    assert refused.exit_code == 1
    assert "is not pinned in the registry, nobody has confirmed it; if you know its sha256" in refused.stderr
    digest = sha256_file(weights)
    assert fetch("small", "--sha256", digest.upper()).stdout == f"{cache / 'small.safetensors'}\n"
    with pytest.raises(WeightsError, match="none is pinned"):
        load_weights(opened, None)
    load_weights(opened, None, digest)


@pytest.mark.usefixtures("entry")
def test_another_sha256_than_the_files_is_refused(cache: Path) -> None:
    result = fetch("small", "--sha256", "0" * 64)
    assert result.exit_code == 1
    assert f"not {'0' * 64}, and was thrown away" in result.stderr
    assert not list(cache.iterdir())


@pytest.mark.usefixtures("entry")
def test_another_sha256_may_be_that_of_a_file_of_another_size(server: FileServer, cache: Path) -> None:
    server.content = b"other"
    assert fetch("small", "--sha256", hashlib.sha256(b"other").hexdigest()).exit_code == 0
    assert (cache / "small.safetensors").read_bytes() == b"other"


def test_progress_as_json_is_told_every_megabyte_and_at_the_end(
    entry: ModelEntry, capsys: pytest.CaptureFixture[str]
) -> None:
    with JSONFetchReport(quiet=False).progress_of(entry.weights[0]) as progress:
        for done in range(100_000, 2_600_000, 100_000):
            progress(done, 2_500_000)
    told = [json.loads(line)["bytes_done"] for line in capsys.readouterr().out.splitlines()]
    assert told == [1_000_000, 2_000_000, 2_500_000]


def test_the_form_is_chosen_by_the_files_ending(
    entry: ModelEntry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy = replace(entry.weights[0], file="small-12345678.th")
    monkeypatch.setattr(fetch_module, "find_model", lambda _: replace(entry, weights=(*entry.weights, legacy)))
    assert fetch("small", "--form", "th").stdout == f"{cache / 'small-12345678.th'}\n"
    assert fetch("small").stdout == f"{cache / 'small.safetensors'}\n"


def test_the_files_of_a_bag_are_those_of_its_members(
    entry: ModelEntry, cache: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def member(name: str) -> ModelEntry:
        return replace(entry, name=name, weights=(replace(entry.weights[0], file=f"{name}.safetensors"),))

    monkeypatch.setattr(fetch_module, "find_model", member)
    fetched = fetch("htdemucs_ft")
    members = bags()["htdemucs_ft"].members
    assert fetched.stdout.splitlines() == [str(cache / f"{name}.safetensors") for name in members]
    assert {(cache / f"{name}.safetensors").read_bytes() for name in members} == {weights.read_bytes()}
    assert fetched.stderr.count("ask its authors") == 1
    assert "--sha256 is for one file" in fetch("htdemucs_ft", "--sha256", "0" * 64).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fixture",), "needs no file"),
        (("htdemucs_7s",), "there is no model 'htdemucs_7s'"),
        (("htdemucs_6s", "--form", "onnx"), "is not one of"),
        (("htdemucs_6s", "--sha256", "0" * 63), "is no sha256"),
        (("htdemucs_6s", "--sha256", "g" * 64), "is no sha256"),
        (("htdemucs_6s", "-o", ""), "the path is empty"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    result = fetch(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_form_that_is_not_published_is_wrong_usage(entry: ModelEntry) -> None:
    assert "is not published in the form th" in fetch(entry.name, "--form", "th").stderr


@pytest.mark.parametrize(
    ("number", "exit_code", "message"),
    [
        (
            signal.SIGTERM,
            143,
            "error: ended by SIGTERM; what was downloaded is kept, and the next fetch goes on from there\n",
        ),
        (
            signal.SIGINT,
            130,
            "error: ended by SIGINT; what was downloaded is kept, and the next fetch goes on from there\n",
        ),
        (signal.SIGKILL, -9, ""),
    ],
)
@pytest.mark.usefixtures("entry")
def test_a_fetch_that_was_ended_is_taken_up_where_it_was(
    server: FileServer, weights: Path, cache: Path, number: signal.Signals, exit_code: int, message: str
) -> None:
    ended, reached = threading.Event(), threading.Event()
    server.answers = [silent_after(300_000, ended, reached)]
    command = process_of(server, weights, "small", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert reached.wait(60)
        (partial,) = cache.iterdir()
        while partial.stat().st_size < 300_000 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    ended.set()
    assert (process.returncode, err) == (exit_code, message)
    assert partial.stat().st_size == 300_000
    assert fetch("small").exit_code == 0
    assert server.ranges == [None, "bytes=300000-"]
    assert (cache / "small.safetensors").read_bytes() == weights.read_bytes()
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("stream", [1, 2])
def test_a_file_is_fetched_where_a_standard_stream_is_closed(
    server: FileServer, weights: Path, cache: Path, stream: int
) -> None:
    shell = ["sh", "-c", f'"$@" {stream}>&-', "sh"]
    done = subprocess.run([*shell, *process_of(server, weights, "small")], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    path = cache / "small.safetensors"
    assert path.read_bytes() == weights.read_bytes()
    assert done.stdout == ("" if stream == 1 else f"{path}\n")


def test_no_bar_is_drawn_without_a_standard_error(entry: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    # As Python has it where a program is started with the stream closed.
    monkeypatch.setattr(sys, "stderr", None)
    report = TextFetchReport(quiet=False)
    with report.progress_of(entry.weights[0]) as progress:
        progress(1, 2)


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_a_bar_is_drawn_on_a_terminal_that_can(
    server: FileServer, weights: Path, monkeypatch: pytest.MonkeyPatch, term: str, drawn: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    subprocess.run(process_of(server, weights, "small"), stdout=subprocess.DEVNULL, stderr=end, check=True)
    os.close(end)
    printed = os.read(terminal, 1 << 16)
    os.close(terminal)
    assert (b"\r" in printed.replace(b"\r\n", b"\n")) is drawn


@pytest.mark.parametrize("options", [[], ["--json"], ["--json", "--quiet"]])
def test_a_reader_that_has_gone_ends_a_fetch_quietly(server: FileServer, weights: Path, options: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = process_of(server, weights, "htdemucs_ft", *options)
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert done.returncode == 1
    assert "error" not in done.stderr
    # The first line of all is a note, or that of the first file.
    assert len(server.requests) == (0 if options == ["--json"] else 1)


def test_a_reader_that_goes_while_progress_is_told_ends_a_fetch_quietly(server: FileServer, weights: Path) -> None:
    # The first event is a note; whatever is read no more after it is of the first file.
    ended, reached = threading.Event(), threading.Event()
    server.answers = [silent_after(0, ended, reached)]
    command = process_of(server, weights, "htdemucs_ft", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert reached.wait(60)
        process.stdout.close()
        ended.set()
        assert (process.stderr.read(), process.wait(60)) == ("", 1)
    # The silent answer, and the one with which it went on.
    assert len(server.requests) == 2


def test_a_full_disk_under_standard_output_is_told_once(server: FileServer, weights: Path, cache: Path) -> None:
    command = process_of(server, weights, "htdemucs_ft", "--quiet")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")
    assert len(server.requests) == len(list(cache.iterdir())) == 1


@pytest.mark.usefixtures("entry")
def test_a_lost_connection_says_that_it_can_go_on(server: FileServer) -> None:
    server.answers = [dropping(1000), hanging_up, hanging_up]
    result = fetch("small", "--quiet")
    assert result.exit_code == 1
    assert "failed at 1000 of" in result.stderr
    assert result.stderr.endswith("run the command again, it goes on from there\n")


def test_fetched_weights_are_found_and_still_checked(
    entry: ModelEntry, cache: Path, small_checkpoint: Checkpoint
) -> None:
    with pytest.raises(WeightsError, match=r"run `htdemucs-coreml fetch fixture` or, where there is no network, get "):
        load_weights(entry, None)
    fetch("small")
    assert load_weights(entry, None).sha256 == small_checkpoint.sha256
    with (cache / "small.safetensors").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\xff")
    with pytest.raises(WeightsError, match="but the published weights"):
        load_weights(entry, None)


def test_convert_takes_what_was_fetched(
    entry: ModelEntry, small_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[Checkpoint] = []
    monkeypatch.setattr(convert_module, "find_model", lambda _: entry)
    monkeypatch.setattr(convert_module, "convert_checkpoint", lambda checkpoint, *_: converted.append(checkpoint))
    convert = [str(argument) for argument in ("--model", "htdemucs_6s", "-o", tmp_path / "x.mlpackage")]
    before = CliRunner().invoke(convert_module.command, convert)
    assert isinstance(before.exception, WeightsError)
    assert not converted
    fetch("small")
    CliRunner().invoke(convert_module.command, convert)
    assert [checkpoint.sha256 for checkpoint in converted] == [small_checkpoint.sha256]


def test_convert_takes_other_weights_by_their_sha256_only(
    entry: ModelEntry, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[Checkpoint] = []
    monkeypatch.setattr(convert_module, "find_model", lambda _: entry)
    monkeypatch.setattr(convert_module, "convert_checkpoint", lambda checkpoint, *_: converted.append(checkpoint))
    own = tmp_path / "own.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    own.write_bytes(content)
    convert = ["--model", "htdemucs_6s", "-o", str(tmp_path / "x.mlpackage"), "--weights", str(own)]
    refused = CliRunner().invoke(convert_module.command, convert)
    assert isinstance(refused.exception, WeightsError)
    CliRunner().invoke(convert_module.command, [*convert, "--sha256", sha256_file(own).upper()])
    assert len(converted) == 1
    wrong = CliRunner().invoke(convert_module.command, [*convert, "--sha256", sha256_file(weights)])
    assert isinstance(wrong.exception, WeightsError)
    for digest in ("", "0" * 63, "0" * 65, "x" * 64, "sha256:" + "0" * 57):
        assert CliRunner().invoke(convert_module.command, [*convert, "--sha256", digest]).exit_code == 2
    assert len(converted) == 1


def test_generated_weights_have_no_sha256_to_give() -> None:
    with pytest.raises(WeightsError, match="are generated"):
        load_weights(SMALL_ENTRY, None, "0" * 64)


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches", "HOME": "/home/a"}, "/caches/htdemucs-coreml"),
        ("linux", {"XDG_CACHE_HOME": "", "HOME": "/home/a"}, "/home/a/.cache/htdemucs-coreml"),
        ("linux", {"XDG_CACHE_HOME": "relative", "HOME": "/home/a"}, "/home/a/.cache/htdemucs-coreml"),
        ("linux", {"HOME": "/home/a"}, "/home/a/.cache/htdemucs-coreml"),
        ("darwin", {"XDG_CACHE_HOME": "/caches", "HOME": "/Users/a"}, "/Users/a/Library/Caches/htdemucs-coreml"),
    ],
)
def test_the_cache_is_where_the_system_has_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], folder: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_verify_and_separate_hand_on_a_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = "0" * 64
    given: list[object] = []

    def refused(*positional: object, **named: object) -> None:
        given.append(named["sha256"] if "sha256" in named else positional[2])
        raise WeightsError("refused")

    for name, result in (("read_package", None), ("compare_package_with_lock", SimpleNamespace(verdict=None))):
        monkeypatch.setattr(f"htdemucs_coreml.cli.verify.{name}", lambda *_, result=result: result)
    monkeypatch.setattr("htdemucs_coreml.cli.verify.missing_weights", lambda *_: None)
    monkeypatch.setattr("htdemucs_coreml.cli.verify.verify_package", refused)
    CliRunner().invoke(verify_command, ["x.mlpackage", "--sha256", digest.upper()])
    monkeypatch.setattr("htdemucs_coreml.backends.load_backend", refused)
    song = tmp_path / "song.wav"
    soundfile.write(song, [[0.0, 0.0]] * 100, 44100)
    separate = [str(song), "-o", str(tmp_path / "stems"), "--sha256", digest]
    CliRunner().invoke(separate_command, [*separate, "--backend", "torch"])
    assert given == [digest, digest]
    assert CliRunner().invoke(separate_command, separate).exit_code == 2
