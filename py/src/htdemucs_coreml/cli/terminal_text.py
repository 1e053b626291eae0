"""Text of others, such as a package's metadata or a file's name, made safe to print."""


def printable(text: str) -> str:
    """Escape what does not print, such as line breaks and a terminal's control codes, as Python's literals do."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
