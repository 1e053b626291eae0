"""A machine for the few pickle operations that ``torch.save`` writes; it makes plain values, imports and calls nothing.

Format: the comments of CPython's ``Lib/pickletools.py``, protocol 2. Python's own unpickler imports every name that it
meets and calls what it is told to. Here a name, a call, a reference to data outside of the pickle and a state that is
set are handed to an `Interpretation`, which knows what the few that occur stand for and refuses the others.

Each operation adds at most one value, one mark or one memo entry, so that `MAX_PICKLE_BYTES` and `MAX_OPERATIONS` bound
all that a pickle can make the machine hold.
"""

import struct
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Protocol

from htdemucs_coreml.weights.content import FormError

MAX_PICKLE_BYTES = 4 << 20
MAX_OPERATIONS = 1 << 18

_MAX_NAME_BYTES = 100
_MAX_INTEGER_BYTES = 8
_PROTOCOL = b"\x80\x02"
_STOP = ord(".")
# Keys whose hash and comparison take constant time, whatever the file says.
_KEY_TYPES = (str, int, bool, NoneType)


class Interpretation(Protocol):
    """What a pickle's references beyond itself stand for. Every method raises `FormError` on what it does not know."""

    def named(self, module: str, name: str) -> object:
        """Return a stand-in for what a module calls by a name."""
        ...

    def constructed(self, callee: object, arguments: tuple[object, ...]) -> object:
        """Return what calling `callee` would give."""
        ...

    def persistent(self, identifier: object) -> object:
        """Return data that lies outside of the pickle."""
        ...

    def set_state(self, target: object, state: object) -> None:
        """Give an object its state."""
        ...


def run_pickle(data: bytes, interpretation: Interpretation) -> object:
    """The value that a pickle describes: plain values and those that `interpretation` makes.

    Parameters
    ----------
    data : bytes
        The whole pickle, of protocol 2.
    interpretation : Interpretation
        What stands for names, calls and outside data.

    Raises
    ------
    FormError
        If the pickle is too large, damaged, or holds an operation that ``torch.save`` does not write.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise FormError(f"its pickle has {len(data)} bytes; more than {MAX_PICKLE_BYTES} are refused")
    if not data.startswith(_PROTOCOL):
        raise FormError("its pickle is not of protocol 2, which torch.save writes")
    return _Machine(data, interpretation).run()


class _Machine:
    def __init__(self, data: bytes, interpretation: Interpretation) -> None:
        self._data = data
        self._position = len(_PROTOCOL)
        self._interpretation = interpretation
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._operations: Mapping[int, Callable[[], None]] = {
            ord(code): operation
            for code, operation in {
                "N": lambda: self._push(None),
                "\x88": lambda: self._push(True),
                "\x89": lambda: self._push(False),
                "K": lambda: self._push(self._unsigned(1)),
                "M": lambda: self._push(self._unsigned(2)),
                "J": lambda: self._push(int.from_bytes(self._take(4), "little", signed=True)),
                "\x8a": self._long,
                "G": lambda: self._push(struct.unpack(">d", self._take(8))[0]),
                "X": self._text,
                ")": lambda: self._push(()),
                "]": lambda: self._push([]),
                "}": lambda: self._push({}),
                "\x85": lambda: self._tuple(1),
                "\x86": lambda: self._tuple(2),
                "\x87": lambda: self._tuple(3),
                "(": lambda: self._marks.append(len(self._stack)),
                "t": lambda: self._push(tuple(self._pop_to_mark())),
                "a": lambda: self._extend([self._pop()]),
                "e": lambda: self._extend(self._pop_to_mark()),
                "s": lambda: self._set_items(self._pop_last(2)),
                "u": lambda: self._set_items(self._pop_to_mark()),
                "q": lambda: self._remember(self._unsigned(1)),
                "r": lambda: self._remember(self._unsigned(4)),
                "h": lambda: self._recall(self._unsigned(1)),
                "j": lambda: self._recall(self._unsigned(4)),
                "c": self._name,
                "R": self._call,
                "Q": lambda: self._push(self._interpretation.persistent(self._pop())),
                "b": self._set_state,
            }.items()
        }

    def run(self) -> object:
        for _ in range(MAX_OPERATIONS):
            code = self._unsigned(1)
            if code == _STOP:
                return self._result()
            operation = self._operations.get(code)
            if operation is None:
                raise FormError(f"its pickle holds operation 0x{code:02x}, which torch.save does not write")
            operation()
        raise FormError(f"its pickle has more than {MAX_OPERATIONS} operations")

    def _result(self) -> object:
        result = self._pop()
        if self._stack or self._marks or self._position != len(self._data):
            raise FormError("its pickle goes on where it should end")
        return result

    def _take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) != count:
            raise FormError("its pickle is cut off")
        self._position += count
        return taken

    def _unsigned(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _line(self) -> str:
        end = self._data.find(b"\n", self._position, self._position + _MAX_NAME_BYTES)
        if end < 0:
            raise FormError("its pickle holds a name without an end")
        line = self._take(end - self._position)
        self._position += 1
        return _decoded(line)

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        return self._pop_last(1)[0]

    def _pop_last(self, count: int) -> list[object]:
        self._require_values(count)
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _pop_to_mark(self) -> list[object]:
        if not self._marks:
            raise FormError("its pickle ends a list that it has not begun")
        mark = self._marks.pop()
        values = self._stack[mark:]
        del self._stack[mark:]
        return values

    def _top(self) -> object:
        self._require_values(1)
        return self._stack[-1]

    def _require_values(self, count: int) -> None:
        """Refuse to reach below the last mark."""
        if len(self._stack) - (self._marks[-1] if self._marks else 0) < count:
            raise FormError("its pickle takes values that it has not made")

    def _long(self) -> None:
        count = self._unsigned(1)
        if count > _MAX_INTEGER_BYTES:
            raise FormError(f"its pickle holds an integer of {count} bytes")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    def _text(self) -> None:
        self._push(_decoded(self._take(self._unsigned(4))))

    def _tuple(self, count: int) -> None:
        self._push(tuple(self._pop_last(count)))

    def _extend(self, values: list[object]) -> None:
        target = self._top()
        if type(target) is not list:
            raise FormError("its pickle appends to what is no list")
        target.extend(values)

    def _set_items(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2:
            raise FormError("its pickle sets items of what is no table")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in _KEY_TYPES:
                raise FormError(f"its pickle holds a key that is a {type(key).__name__}")
            if key in target:
                raise FormError(f"its pickle sets {key!r:.100} twice")
            target[key] = value

    def _remember(self, index: int) -> None:
        self._memo[index] = self._top()

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise FormError("its pickle recalls a value that it has not made")
        self._push(self._memo[index])

    def _name(self) -> None:
        module = self._line()
        self._push(self._interpretation.named(module, self._line()))

    def _call(self) -> None:
        callee, arguments = self._pop_last(2)
        if type(arguments) is not tuple:
            raise FormError("its pickle calls without arguments")
        self._push(self._interpretation.constructed(callee, arguments))

    def _set_state(self) -> None:
        state = self._pop()
        self._interpretation.set_state(self._top(), state)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise FormError("its pickle holds text that is not UTF-8") from error
