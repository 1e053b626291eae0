"""Coverage-guided fuzzing of the project's own parsers: ``just fuzz-py``.

`targets` says what is fed to which parser and lists all, ``corpus/<target>`` holds the inputs from which a run starts,
those that once failed included. `campaign` runs targets, each in a process of `worker`, and `__main__` is the command.
Nothing but `worker` needs atheris.
"""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
"""A folder of inputs for each target."""
