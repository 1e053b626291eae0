"""The tool starts fast, lists its commands without importing them, and knows one way to end with an error."""

import subprocess
import sys

import click
import pytest

from htdemucs_coreml.backends.base import BackendError
from htdemucs_coreml.cli import main
from htdemucs_coreml.cli.application import application
from htdemucs_coreml.mil import MILError

COMMANDS = ["separate", "convert", "verify", "inspect", "info"]


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
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.split("Commands:")[1].splitlines() if line]
    assert [name for name, _ in lines] == COMMANDS
    assert all(sentence.endswith(".") for _, sentence in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_named_is_there_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: htdemucs-coreml {name} ")


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("seperate") == 2
    assert "seperate" in capsys.readouterr().err


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys\n"
        "from htdemucs_coreml.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'coremltools', 'soundfile', 'demucs', 'htdemucs_coreml.mil'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "imported: []"


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


def test_a_bug_keeps_its_traceback(failing: list[BaseException]) -> None:
    failing.append(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["info"])
