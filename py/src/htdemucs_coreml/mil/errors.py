"""Errors of the interpreter.

They do not derive from the project's own root: the interpreter imports nothing outside its folder.
"""

_MAXIMUM_CHARACTERS = 1000


class MILError(Exception):
    """Something that a package or an input can cause; the message is one sentence that names the place.

    Damaged packages bring names of any bytes into messages: what cannot be printed is escaped, what is long
    is cut.
    """

    def __init__(self, message: str) -> None:
        printable = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in message)
        if len(printable) > _MAXIMUM_CHARACTERS:
            printable = f"{printable[:_MAXIMUM_CHARACTERS]}..."
        super().__init__(printable)


class PackageError(MILError):
    """The folder, its manifest or one of its files is missing, unreadable or not laid out as a package."""


class WeightsError(MILError):
    """A weight file is not a well-formed blob file, or a blob is not what the program declares."""


class ProgramError(MILError):
    """The program contradicts itself: undefined or repeated names, or values that do not fit their types."""


class UnsupportedError(MILError):
    """The program is valid for all one can tell, but uses something that is not implemented exactly."""


class InputError(MILError):
    """An input of a prediction is missing, unknown, or has another shape or type than declared."""


class ExecutionError(MILError):
    """An operation failed, or its result is not what the program declares."""


class MessageError(MILError):
    """A message on a stream is cut short, too large or not of the protocol."""
