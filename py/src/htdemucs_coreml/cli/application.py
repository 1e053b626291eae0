"""The tool's frame: its commands, its exit codes and what becomes of errors."""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from htdemucs_coreml import __version__
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.cli.termination import exit_code_of
from htdemucs_coreml.errors import HTDemucsCoreMLError

_COMMANDS = {
    "separate": "Separate songs into stems.",
    "fetch": "Get a model's published weights.",
    "convert": "Convert a model to a Core ML package.",
    "canonicalise": "Write any package as bytes that depend on its program alone.",
    "verify": "Check a package against the lock and against PyTorch.",
    "inspect": "Say what a package computes and what that costs.",
    "info": "Say what a package is.",
    "export": "Copy a package into a folder.",
}
EXIT_FAILED = 1
CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
"""Of every command."""


class LazyGroup(click.Group):
    """A group whose commands are modules of this folder, imported when one is used and not for the list of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands, in the order of use."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command's module."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"htdemucs_coreml.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for, or name the one that may have been meant."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            meant = difflib.get_close_matches(name, _COMMANDS, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {meant[0]!r}?" if meant else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands without importing them."""
        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete) if incomplete.startswith("-") else []
        return [CompletionItem(name, help=_COMMANDS[name]) for name in names] + options


_EPILOG = """
\b
Examples:
  htdemucs-coreml separate song.mp3 -o stems
  htdemucs-coreml separate --help
\b
Completion of commands, options and paths, in bash (zsh and fish likewise):
  eval "$(_HTDEMUCS_COREML_COMPLETE=bash_source htdemucs-coreml)"
"""


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__)
def application() -> None:
    """Separate music into stems with HTDemucs, as a reproducible and verified Core ML package.

    Exit codes: 0 done, 1 failed on an input, 2 wrong usage, 129, 130, 143 ended by SIGHUP, SIGINT,
    SIGTERM.
    """


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the errors that inputs, files and options can cause, and that are told in one line.

    The interpreter's family stands apart from the project's; where the interpreter was not imported, none of its
    errors can be there to tell.
    """
    interpreter_errors = sys.modules.get("htdemucs_coreml.mil.errors")
    return (HTDemucsCoreMLError,) if interpreter_errors is None else (HTDemucsCoreMLError, interpreter_errors.MILError)


def message_of(error: Exception) -> str:
    """Return what is told of an expected error: printable, on one line."""
    message = str(error)
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return printable(" ".join(message.split()))


def report_error(message: str) -> None:
    """Print one line ``error: …`` to standard error."""
    click.echo(f"error: {message}", err=True)


def run(command: click.Command, arguments: Sequence[str] | None = None, *, prog_name: str) -> NoReturn:
    """Run a command and exit.

    Parameters
    ----------
    command : click.Command
        The command, or a group of commands.
    arguments : sequence of str, optional
        By default the process's.
    prog_name : str
        What the help calls the program.

    Raises
    ------
    SystemExit
        With 0: done; 1: an expected error, told in one line; 2: wrong usage; 128 + n: ended by signal n, after
        everything partial was removed. Other errors are bugs and keep their traceback.
    """
    # Outside of any handler: an exception that is being handled would keep what it refers to alive until the end.
    sys.exit(exit_code_of(lambda: invoke(command, arguments, prog_name=prog_name)))


def invoke(command: click.Command, arguments: Sequence[str] | None, *, prog_name: str) -> int:
    """Run a command as `run` does and return the exit code; a signal is left to the caller."""
    try:
        status = command.main(
            args=None if arguments is None else list(arguments), prog_name=prog_name, standalone_mode=False
        )
        _flush_output()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _discard_unwritable_output()
        return EXIT_FAILED
    except OSError as error:
        _discard_unwritable_output()
        report_error(message_of(error))
        return EXIT_FAILED
    except expected_errors() as error:
        report_error(message_of(error))
        return EXIT_FAILED
    return status if isinstance(status, int) else 0


def _flush_output() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _discard_unwritable_output() -> None:
    """Let go of what standard output holds and cannot be written: Python would try again, and fail, at its end.

    Source: Python's documentation of ``signal``, "Note on SIGPIPE".
    """
    try:
        _flush_output()
    except OSError:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
