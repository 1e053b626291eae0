"""Changes to JSON that keep it JSON, most of the time.

Tables are lists of pairs here, so that keys can occur twice. Texts that are JSON themselves are changed inside, too.
"""

import json
from random import Random
from typing import Any

from fuzz.target import MutateBytes


class Table(list[tuple[str, Any]]):
    """Members of a JSON table in their order."""


class Token(str):
    """Text that is written as it is."""

    __slots__ = ()


_SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**52, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63)),
    *(1.0, 0.5, 1e308, "", "x", "0", "1_0", "\0", "\n", "\ud800", "é", "..", "../x", "/etc/passwd", ".", "a" * 300),
    *(Token(text) for text in ("NaN", "Infinity", "-Infinity", "1e400", "9" * 4300, "9" * 5000)),
)
_DEPTHS = (1, 2, 20, 900, 3000)


def mutate_json(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change a JSON document, or bytes that are none."""
    if random.random() < 0.1:
        return mutate_bytes(data, maximum)
    try:
        document = [_parsed(data.decode("utf-8"))]
        for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
            _edit(document, random, mutate_bytes)
        text = _written(document[0]).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return mutate_bytes(data, maximum)
    return text if len(text) <= maximum else mutate_bytes(data, maximum)


def _parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=Table)


def _written(value: Any) -> str:
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, Table):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(member)}" for key, member in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _edit(document: list[Any], random: Random, mutate_bytes: MutateBytes) -> None:
    places = [(document, 0), *_places(document[0])]
    container, index = random.choice(places)
    value = _get(container, index)
    choice = random.randrange(8)
    if choice == 0 and container is not document:
        del container[index]
    elif choice == 1 and container is not document:
        container.insert(random.randrange(len(container) + 1), container[index])
    elif choice == 2:
        _set(container, index, _get(*random.choice(places)))
    elif choice == 3:
        _set(container, index, random.choice(_SCALARS))
    elif choice == 4 and isinstance(container, Table):
        container[index] = (_changed_text(container[index][0], random, mutate_bytes), value)
    elif choice == 5 and isinstance(value, list):
        added = random.choice(_SCALARS)
        value.append((str(random.choice(_SCALARS)), added) if isinstance(value, Table) else added)
    elif choice == 6 and random.random() < 0.2:
        depth = random.choice(_DEPTHS)
        _set(container, index, Token("[" * depth + _written(value) + "]" * depth))
    else:
        _set(container, index, _changed(value, random, mutate_bytes))


def _places(value: Any) -> list[tuple[list[Any], int]]:
    if not isinstance(value, list):
        return []
    own = [(value, index) for index in range(len(value))]
    members = [_get(value, index) for index in range(len(value))]
    return own + [place for member in members for place in _places(member)]


def _get(container: list[Any], index: int) -> Any:
    return container[index][1] if isinstance(container, Table) else container[index]


def _set(container: list[Any], index: int, value: Any) -> None:
    container[index] = (container[index][0], value) if isinstance(container, Table) else value


def _changed(value: Any, random: Random, mutate_bytes: MutateBytes) -> Any:
    if isinstance(value, str) and not isinstance(value, Token):
        return _changed_text(value, random, mutate_bytes)
    if isinstance(value, int) and not isinstance(value, bool):
        return random.choice((value + 1, value - 1, -value, value * 2, value // 2, float(value % 2**53)))
    return random.choice(_SCALARS)


def _changed_text(text: str, random: Random, mutate_bytes: MutateBytes) -> str:
    if text[:1] in ("{", "[") and random.random() < 0.8:
        return mutate_json(text.encode("utf-8", "replace"), 1 << 16, random, mutate_bytes).decode("utf-8", "replace")
    return mutate_bytes(text.encode("utf-8", "replace"), len(text) + 16).decode("utf-8", "replace")
