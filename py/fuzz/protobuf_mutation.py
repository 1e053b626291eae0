"""Changes to a protobuf message that keep it one: values, members and branches, by the message's own description."""

from collections import defaultdict
from random import Random
from typing import Any

from google.protobuf.message import DecodeError

from fuzz.target import Mutate, MutateBytes

_INTEGERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    64,
    127,
    128,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**62,
    2**63 - 1,
    2**64 - 1,
)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 3e38, float("inf"), float("nan"))
_TEXTS = ("", "x", "\n", "\0", "main", "..", "@model_path/../x", "@model_path/" + "a" * 300, "ÿ")


class _Tree:
    """The messages below one, by type, and the texts in them."""

    def __init__(self, root: Any) -> None:
        self.messages: list[Any] = []
        self.by_type: dict[str, list[Any]] = defaultdict(list)
        self.texts: list[str] = list(_TEXTS)
        self._add(root)

    def _add(self, message: Any) -> None:
        self.messages.append(message)
        self.by_type[message.DESCRIPTOR.full_name].append(message)
        for field, value in message.ListFields():
            if _is_map(field):
                self.texts.extend(key for key in value if isinstance(key, str))
                if field.message_type.fields_by_name["value"].message_type is not None:
                    for key in value:
                        self._add(value[key])
            elif field.message_type is not None:
                for member in value if _is_repeated(field) else (value,):
                    self._add(member)
            elif field.type == field.TYPE_STRING:
                self.texts.extend(value if _is_repeated(field) else (value,))


def mutation_of(message_type: Any) -> Mutate:
    """Mutation of serialised messages of a type."""

    def mutate(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
        if random.random() < 0.05:
            return mutate_bytes(data, maximum)
        message = message_type()
        try:
            message.ParseFromString(data)
        except (DecodeError, UnicodeDecodeError):
            return mutate_bytes(data, maximum)
        for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
            _edit(message, random, mutate_bytes)
        changed: bytes = message.SerializeToString(deterministic=True)
        return changed if len(changed) <= maximum else mutate_bytes(data, maximum)

    return mutate


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _edit(root: Any, random: Random, mutate_bytes: MutateBytes) -> None:
    tree = _Tree(root)
    message = random.choice(tree.messages)
    present = [field for field, _ in message.ListFields()]
    fields = present if present and random.random() < 0.85 else list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = random.choice(fields)
    if _is_map(field):
        _edit_map(message, field, tree, random)
    elif _is_repeated(field):
        _edit_list(getattr(message, field.name), field, tree, random, mutate_bytes)
    elif random.random() < 0.1:
        message.ClearField(field.name)
    elif field.message_type is not None:
        _fill(getattr(message, field.name), tree, random)
    else:
        changed = _scalar(field, getattr(message, field.name), tree, random, mutate_bytes)
        setattr(message, field.name, changed)


def _edit_map(message: Any, field: Any, tree: _Tree, random: Random) -> None:
    entries = getattr(message, field.name)
    keys = list(entries)
    key = random.choice(keys) if keys and random.random() < 0.6 else random.choice(tree.texts)
    if field.message_type.fields_by_name["key"].type != field.TYPE_STRING:
        key = random.choice(_INTEGERS) % 2**31
    if key in entries and random.random() < 0.4:
        del entries[key]
    elif field.message_type.fields_by_name["value"].message_type is not None:
        _fill(entries[key], tree, random)
    elif field.message_type.fields_by_name["value"].type == field.TYPE_STRING:
        entries[key] = random.choice(tree.texts)


def _edit_list(values: Any, field: Any, tree: _Tree, random: Random, mutate_bytes: MutateBytes) -> None:
    position = random.randrange(len(values)) if len(values) else None
    choice = random.randrange(4)
    if choice == 0 and position is not None:
        del values[position]
    elif field.message_type is not None:
        if choice == 1 and position is not None:
            values.add().CopyFrom(values[position])
        elif choice == 2 and position is not None:
            _fill(values[position], tree, random)
        else:
            _fill(values.add(), tree, random)
    elif choice == 1 and position is not None:
        values.append(values[position])
    elif choice == 2 and position is not None:
        values[position] = _scalar(field, values[position], tree, random, mutate_bytes)
    else:
        values.append(_scalar(field, None, tree, random, mutate_bytes))


def _fill(message: Any, tree: _Tree, random: Random) -> None:
    """Take over another message of the same type, or be there and empty."""
    others = tree.by_type.get(message.DESCRIPTOR.full_name)
    if others and random.random() < 0.9:
        copy = type(message)()
        copy.CopyFrom(random.choice(others))
        message.CopyFrom(copy)
    else:
        message.SetInParent()


def _scalar(field: Any, value: Any, tree: _Tree, random: Random, mutate_bytes: MutateBytes) -> Any:
    if field.enum_type is not None:
        known = list(field.enum_type.values_by_number)
        return random.choice(known) if random.random() < 0.8 else random.choice((-1, 999))
    if field.type == field.TYPE_STRING:
        if value and random.random() < 0.3:
            return mutate_bytes(value.encode(), len(value) + 16).decode("utf-8", "replace")
        return random.choice(tree.texts)
    if field.type == field.TYPE_BYTES:
        return mutate_bytes(value or b"\0", len(value or b"") + 16)
    if field.type == field.TYPE_BOOL:
        return random.random() < 0.5
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return random.choice(_FLOATS)
    return _integer(field, value, random)


def _integer(field: Any, value: int | None, random: Random) -> int:
    bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    unsigned = field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
    chosen = random.choice(_INTEGERS) if value is None or random.random() < 0.5 else value + random.choice((-1, 1))
    modulus = 1 << bits
    if unsigned:
        return chosen % modulus
    signed = -chosen if random.random() < 0.3 else chosen
    return (signed + modulus // 2) % modulus - modulus // 2
