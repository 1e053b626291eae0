"""What a file says of the music in it: title, artist and so on."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields

LONGEST_TAG_CHARACTERS = 4096
"""What is longer is cut: it is a file that somebody hid in a tag."""


@dataclass(frozen=True)
class Tags:
    """Descriptive texts, each as its file has it or None; stems get those of their song, unchanged.

    The title is not extended by the stem's name, which is the file's own.

    Attributes
    ----------
    title, artist, album, date, track_number, genre, comment, copyright : str, optional
        As their names say; the number may be ``3/12``.
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    date: str | None = None
    track_number: str | None = None
    genre: str | None = None
    comment: str | None = None
    copyright: str | None = None

    def items(self) -> list[tuple[str, str]]:
        """Return the names and texts of those that are there, in the order of the attributes."""
        texts = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [(name, text) for name, text in texts if text is not None]


NO_TAGS = Tags()
TAG_NAMES = tuple(field.name for field in fields(Tags))
SOUNDFILE_TAG_NAMES = {"track_number": "tracknumber"}
"""Attributes of ``SoundFile`` where they are called otherwise."""


def tags_from(text_of: Callable[[str], str | None]) -> Tags:
    """Collect tags.

    Parameters
    ----------
    text_of : callable
        Gives the text of a tag by its name, whatever a file has there, or None.
    """
    return Tags(**{name: _cleaned(text_of(name)) for name in TAG_NAMES})


def _cleaned(text: str | None) -> str | None:
    """Bound a text and replace what is not for reading: control characters, line ends included, and surrogates."""
    if text is None:
        return None
    # A terminal obeys control characters, and a NUL would end the text in a WAV file.
    readable = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs") else character
        for character in text[:LONGEST_TAG_CHARACTERS]
    )
    return readable.strip() or None
