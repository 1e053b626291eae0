import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htdemucs_coreml.audio.truncation import ogg_pages_missing, stated_bytes_missing


def _page(flags: int, serial: int, number: int, body: bytes) -> bytes:
    """A page of one packet, without its checksum (RFC 3533, section 6)."""
    segments = bytes([255] * (len(body) // 255) + [len(body) % 255])
    return struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, number, 0, len(segments)) + segments + body


_FIRST, _LAST = _page(2, 1, 0, b"first" * 100), _page(4, 1, 1, b"last")
_SECOND = _page(6, 2, 0, b"second")


@given(st.integers(1, len(_FIRST + _LAST + _SECOND) - 1))
def test_chained_streams_that_are_cut_anywhere_but_between_them_lack_pages(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.ogg"
    path.write_bytes((_FIRST + _LAST + _SECOND)[:end])
    assert ogg_pages_missing(path) == (end != len(_FIRST + _LAST))


def test_what_another_program_appended_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "tagged.ogg"
    path.write_bytes(_FIRST + _LAST + _SECOND + b"TAG of some kind")
    assert not ogg_pages_missing(path)


def test_a_size_that_no_file_has_is_not_taken_for_one() -> None:
    assert stated_bytes_missing("data : 40 (should be 12)") == 28
    assert stated_bytes_missing(f"data : {'9' * 5000} (should be 12)") == 0
