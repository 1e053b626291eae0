"""The option that says which file the user trusts."""

import re

import click

_SHA256 = re.compile("[0-9a-f]{64}", re.ASCII)


def checked_sha256(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return a digest in small letters, or refuse what is none as wrong usage."""
    if value is None:
        return None
    digest = value.strip().lower()
    if _SHA256.fullmatch(digest) is None:
        message = f"{value!r} is no sha256, which has 64 hexadecimal digits"
        raise click.BadParameter(message, ctx=context, param=parameter)
    return digest


sha256_option = click.option(
    "--sha256",
    metavar="HEX",
    callback=checked_sha256,
    help="The sha256 that the weights file must have. It may then be another file than the registry's, such as weights "
    "of your own for the same architecture.",
)
"""For commands that read a weights file."""
