"""``python -m htdemucs_coreml``: the command-line tool."""

from htdemucs_coreml.cli import main

main()
