"""Text of others, such as a package's metadata or a file's name, made safe to print."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Of letters in Persian and Indic scripts, and of emoji: names have them, and terminals do nothing on them."""


def printable(text: str) -> str:
    """Escape what does not print, such as line breaks and a terminal's control codes, as Python's literals do.

    Spaces of any width print.
    """
    return "".join(
        character if _prints(character) else character.encode("unicode_escape").decode("ascii") for character in text
    )


def _prints(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
