"""Archives: what ``torch.save`` and Python's zipfile store is read; anything ambiguous is refused."""

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.weights.content import FormError
from htdemucs_coreml.weights.stored_zip import MAX_ENTRIES, stored_entries
from legacy_weights import archive_of, records_of

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda name: not name.endswith("/")
)


@settings(deadline=None)
@given(st.dictionaries(names, st.binary(max_size=50), min_size=1, max_size=5))
def test_stored_entries_are_read_as_python_reads_them(records: dict[str, bytes]) -> None:
    content = archive_of(records)
    assert {name: bytes(data) for name, data in stored_entries(content).items()} == records_of(content)


def test_archives_of_torch_end_in_a_directory_of_64_bits_and_are_read() -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.arange(3.0)}, stream)
    content = stream.getvalue()
    assert b"PK\x06\x06" in content
    assert {name: bytes(data) for name, data in stored_entries(content).items()} == records_of(content)


def patched(marker: bytes, offset: int, form: str, value: int, *, last: bool = False) -> Callable[[bytes], bytes]:
    """Change one field, `offset` bytes behind the first or last occurrence of a signature."""

    def change(content: bytes) -> bytes:
        at = (content.rindex(marker) if last else content.index(marker)) + offset
        changed = bytearray(content)
        struct.pack_into(form, changed, at, value)
        return bytes(changed)

    return change


LOCAL, DIRECTORY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
SOUND = archive_of({"a/one": b"first", "a/two": b"second"})


def duplicated(content: bytes) -> bytes:
    return content.replace(b"a/two", b"a/one")


def same_offset(content: bytes) -> bytes:
    first = content.index(DIRECTORY)
    second = content.rindex(DIRECTORY)
    return content[:second] + content[first : first + second - first] + content[second + second - first :]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("cut off", lambda _: b""),
        ("cut off", lambda _: b"PK\x03\x04"),
        ("cut off, or something follows", lambda content: content[:-1]),
        ("cut off, or something follows", lambda content: content + b"\0"),
        ("cut off, or something follows", patched(END, 20, "<H", 1)),
        ("1 to 16384 entries", patched(END, 8, "<I", 0)),
        ("1 to 16384 entries", patched(END, 10, "<H", 3)),
        ("1 to 16384 entries", patched(END, 4, "<H", 1)),
        ("1 to 16384 entries", patched(END, 6, "<H", 1)),
        ("does not lie where", lambda content: b"#!/bin/sh\n" + content),
        ("does not lie where", patched(END, 16, "<I", 0xFFFFFFFF)),
        ("does not lie where", patched(END, 12, "<I", 0)),
        ("directory is damaged", patched(DIRECTORY, 0, "<I", 0)),
        ("directory is damaged", patched(DIRECTORY, 28, "<H", 0xFFFF)),
        ("directory is damaged", patched(DIRECTORY, 34, "<H", 1)),
        ("directory is damaged|cut off", patched(END, 8, "<I", 0x00010001)),
        ("cut off", patched(END, 8, "<I", 0x00030003)),
        ("compressed or encrypted", patched(DIRECTORY, 10, "<H", 8)),
        ("compressed or encrypted", patched(DIRECTORY, 8, "<H", 1)),
        ("compressed or encrypted", patched(DIRECTORY, 20, "<I", 4)),
        ("is a folder", patched(DIRECTORY, 38, "<B", 0x10)),
        ("is a folder", lambda content: content.replace(b"a/two", b"a/tw/")),
        ("overlap or lie outside", patched(DIRECTORY, 42, "<I", 0xFFFFFFF0)),
        ("overlap or lie outside", same_offset),
        ("overlap or lie outside", patched(LOCAL, 28, "<H", 1)),
        ("described in two ways", patched(DIRECTORY, 42, "<I", 1)),
        ("described in two ways", patched(LOCAL, 8, "<H", 8)),
        ("described in two ways", patched(LOCAL, 6, "<H", 0x0800)),
        ("described in two ways", patched(LOCAL, 14, "<I", 0)),
        ("described in two ways", patched(LOCAL, 18, "<I", 4)),
        ("described in two ways", patched(LOCAL, 30, "<B", ord("b"))),
        ("another checksum", lambda content: content.replace(b"first", b"fIrst")),
        ("two entries 'a/one'", duplicated),
        ("not UTF-8", lambda content: content.replace(b"a/two", b"a/\xff\xff\xff")),
    ],
)
def test_departures_are_named(reason: str, change: Callable[[bytes], bytes]) -> None:
    assert stored_entries(SOUND)
    with pytest.raises(FormError, match=reason):
        stored_entries(change(SOUND))


def test_sizes_in_32_and_64_bits_agree() -> None:
    stream = io.BytesIO()
    torch.save([], stream)
    for offset in (0, 4, 16, 20, 24, 32, 40, 48, 56, 60, 64, 72):
        changed = patched(b"PK\x06\x06", offset, "<B", 0xEE)(stream.getvalue())
        with pytest.raises(FormError, match="elsewhere in 64 bits"):
            stored_entries(changed)


def test_nothing_is_decompressed() -> None:
    bomb = archive_of({"a/data.pkl": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(FormError, match="compressed or encrypted"):
        stored_entries(bomb)


def test_the_number_of_entries_is_bounded() -> None:
    records = {f"a/{index}": b"" for index in range(MAX_ENTRIES + 1)}
    with pytest.raises(FormError, match="1 to 16384 entries"):
        stored_entries(archive_of(records))
