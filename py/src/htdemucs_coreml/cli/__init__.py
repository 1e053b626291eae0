"""The command-line tool ``htdemucs-coreml``; each command is a module of its own, imported when it is used."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from htdemucs_coreml.cli.streams import open_missing_streams
from htdemucs_coreml.cli.termination import exit_code_of

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the tool and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default the process's.

    Raises
    ------
    SystemExit
        As `htdemucs_coreml.cli.application.run`.
    """

    def work() -> int:
        # Imported here, for a signal during the import to be told like any later one.
        from htdemucs_coreml.cli.application import application, invoke

        return invoke(application, arguments, prog_name="htdemucs-coreml")

    open_missing_streams()
    sys.exit(exit_code_of(work))
