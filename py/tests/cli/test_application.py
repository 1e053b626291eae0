"""The tool starts fast, lists its commands without importing them, and knows one way to end with an error."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from htdemucs_coreml.backends.base import BackendError
from htdemucs_coreml.cli import main
from htdemucs_coreml.cli.application import application
from htdemucs_coreml.mil import MILError

PYTHON_PATH = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
COMMANDS = ["separate", "fetch", "convert", "canonicalise", "verify", "inspect", "info", "export"]


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    return exited.value.code


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Have ``info`` raise what is put into the list."""
    errors: list[BaseException] = []

    def fail() -> None:
        raise errors[0]

    command = click.Command("info", callback=fail)
    monkeypatch.setattr(type(application), "get_command", lambda *_: command)
    return errors


def test_help_names_every_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    commands = capsys.readouterr().out.split("Commands:")[1].split("Examples:")[0]
    lines = [line.split(maxsplit=1) for line in commands.splitlines() if line.strip()]
    assert [name for name, _ in lines] == COMMANDS
    assert all(sentence.endswith(".") for _, sentence in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_named_is_there_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: htdemucs-coreml {name} ")


def test_an_unknown_command_is_wrong_usage_and_a_near_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("seperate") == 2
    assert "No such command 'seperate'. Did you mean 'separate'?" in capsys.readouterr().err
    assert run("xyz") == 2
    assert "No such command 'xyz'.\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("htdemucs-coreml e", ["plain,export"]),
        ("htdemucs-coreml --ver", ["plain,--version"]),
        ("htdemucs-coreml info --j", ["plain,--json"]),
        ("htdemucs-coreml info x", ["file,x"]),
        ("htdemucs-coreml export --variant float32-", ["plain,float32-7_8s"]),
    ],
)
def test_a_shell_is_told_how_a_line_can_go_on(
    words: str, completed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_HTDEMUCS_COREML_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert run() == 0
    assert capsys.readouterr().out.splitlines() == completed


@pytest.mark.parametrize("completed", ["", "bash_complete"], ids=["help", "completion"])
def test_neither_help_nor_completion_imports_a_heavy_library(completed: str) -> None:
    completion = {"_HTDEMUCS_COREML_COMPLETE": completed, "COMP_WORDS": "htdemucs-coreml s", "COMP_CWORD": "1"}
    script = (
        "import sys\n"
        "from htdemucs_coreml.cli import main\n"
        "try:\n    main([] if sys.argv[1:] else ['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'coremltools', 'soundfile', 'demucs', 'htdemucs_coreml.mil'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, *([completed] if completed else [])],
        env={**PYTHON_PATH, **(completion if completed else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "imported: []"


PRINT_UNFLUSHED = (
    "import click\n"
    "from htdemucs_coreml.cli.application import run\n"
    "run(click.Command('x', callback=lambda: print('x')), [], prog_name='x')\n"
)


@pytest.mark.parametrize("arguments", [["-m", "htdemucs_coreml", "--help"], ["-c", PRINT_UNFLUSHED]])
def test_output_that_cannot_be_written_is_one_line_and_exit_code_1(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, *arguments], env=PYTHON_PATH, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, "error: No space left on device\n")


@pytest.mark.parametrize("arguments", [["-m", "htdemucs_coreml", "--help"], ["-c", PRINT_UNFLUSHED]])
def test_output_that_nobody_reads_on_ends_the_tool_quietly(arguments: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, *arguments], env=PYTHON_PATH, stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_signal_while_the_tool_is_being_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import time\nprint('imported', flush=True)\ntime.sleep(60)\n")
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PYTHON_PATH['PYTHONPATH']}"}
    with subprocess.Popen(
        [sys.executable, "-m", "htdemucs_coreml", "--help"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "imported\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "error: ended by SIGINT; nothing partial was left behind\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("separate", "", "-o", "out"),
        ("separate", "a.wav", "-o", ""),
        ("separate", "a.wav", "-o", "out", "--package", ""),
        ("separate", "a.wav", "-o", "out", "--backend", "torch", "--weights", ""),
        ("info", ""),
        ("inspect", ""),
        ("inspect", "p", "--chart", ""),
        ("verify", ""),
        ("verify", "p", "--weights", ""),
    ],
)
def test_an_empty_path_is_wrong_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "the path is empty" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["info", "inspect", "verify"])
def test_a_package_that_cannot_be_read_is_no_wrong_usage(
    command: str, small_package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert run(command, str(small_package)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith("Permission denied")


@pytest.mark.parametrize("error", [BackendError("a\nb"), MILError("a b"), OSError("a b")])
def test_expected_errors_are_one_line_and_exit_code_1(
    failing: list[BaseException], error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(error)
    assert run("info") == 1
    assert capsys.readouterr().err == "error: a b\n"


def test_an_error_of_the_system_is_told_with_its_file(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(PermissionError(13, "Permission denied", "/some/file"))
    assert run("info") == 1
    assert capsys.readouterr().err == "error: /some/file: Permission denied\n"


def test_control_codes_in_an_error_are_escaped(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.append(BackendError("a \x1b[2J b"))
    assert run("info") == 1
    assert capsys.readouterr().err == "error: a \\x1b[2J b\n"


def test_a_bug_keeps_its_traceback(failing: list[BaseException]) -> None:
    failing.append(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["info"])
