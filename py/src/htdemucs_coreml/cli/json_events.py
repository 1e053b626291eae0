"""Events as lines of JSON on standard output, for commands with ``--json``."""

import json

import click


def print_event(event: str, **values: object) -> None:
    """Print one object a line: its ``event``, and what the event holds."""
    click.echo(json.dumps({"event": event, **values}))
