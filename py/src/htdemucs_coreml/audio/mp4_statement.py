"""What an MP4 or QuickTime file states of its sound: how it is coded, how many bytes it has, and which part is played.

The decoder's library rounds edit lists to thousandths of a second, reads what there is of a cut file, and takes memory
for as many packets as a header states. So these are read here, from the boxes themselves, before it sees the file.
Sources: ISO/IEC 14496-12:2015, sections 4.2 (boxes), 8.4 (media), 8.5 (sample descriptions), 8.6 (times and edits),
8.7 (sizes), 8.8 (fragments), 8.12 (protection).
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.audio.errors import AudioError

_MOST_BOXES = 10_000
# Sizes of packets take 4 bytes each: a day at 192 kHz has 16 million.
_MOST_TABLE_BYTES = 1 << 26
_PROTECTED = ("drms", "drmi", "enca")


class MP4Error(AudioError):
    """The boxes are damaged, or say what cannot be read; the message does not name the file."""


@dataclass(frozen=True)
class SoundTrack:
    """The one track of sound in a file.

    Attributes
    ----------
    coding : str
        Four characters, such as ``mp4a`` or ``alac``.
    ticks_per_second : int
        Unit of the lengths.
    ticks : int
        Length of what is coded.
    packet_bytes : int
        Bytes of all packets.
    edit : tuple of Fraction, optional
        First tick and number of ticks that are played, where the file has an edit list.
    """

    coding: str
    ticks_per_second: int
    ticks: int
    packet_bytes: int
    edit: tuple[int, int] | None


def read_sound_track(stream: BinaryIO) -> SoundTrack:
    """Read the statement of a file's only track of sound.

    Raises
    ------
    MP4Error
        If there is no such track or more than one, if it is encrypted, in fragments or played in pieces, or if
        the boxes contradict each other or the size of the file.
    """
    file_bytes = stream.seek(0, io.SEEK_END)
    boxes = _Boxes(stream)
    movie = boxes.only(_Box(b"", 0, file_bytes), b"moov")
    if boxes.find(movie, b"mvex"):
        raise MP4Error("the file is in fragments; write it anew, as with `ffmpeg -i IN -c copy OUT.m4a`")
    movie_ticks_per_second, _ = boxes.times(boxes.only(movie, b"mvhd"))
    tracks = [track for track in boxes.find(movie, b"trak") if boxes.handler(track) == b"soun"]
    if len(tracks) != 1:
        count = len(tracks) or "no"
        advice = "; take one out, as with `ffmpeg -i IN -map 0:a:0 -c copy OUT.m4a`" if tracks else ""
        raise MP4Error(f"the file has {count} tracks of sound{advice}")
    media = boxes.only(tracks[0], b"mdia")
    ticks_per_second, _ = boxes.times(boxes.only(media, b"mdhd"))
    table = boxes.only(boxes.only(media, b"minf"), b"stbl")
    coding = boxes.coding(boxes.only(table, b"stsd"))
    if coding in _PROTECTED:
        raise MP4Error("the file is protected (DRM) and cannot be decoded; give one without protection")
    packets, packet_bytes = boxes.sizes(boxes.only(table, b"stsz"))
    timed_packets, ticks = boxes.durations(boxes.only(table, b"stts"))
    if timed_packets != packets:
        raise MP4Error(f"the file is damaged: it states {packets} packets and the times of {timed_packets}")
    if packet_bytes > file_bytes:
        raise MP4Error(f"the file is truncated, {packet_bytes - file_bytes} bytes of its sound are missing")
    edit = boxes.edit(tracks[0], ticks, Fraction(ticks_per_second, movie_ticks_per_second))
    return SoundTrack(coding, ticks_per_second, ticks, packet_bytes, edit)


@dataclass(frozen=True)
class _Box:
    """A kind, and where the content begins and ends."""

    kind: bytes
    start: int
    end: int


class _Boxes:
    """Reads boxes, never more than `_MOST_BOXES` and never beyond the one that they are in."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = _MOST_BOXES

    def find(self, outer: _Box, kind: bytes) -> list[_Box]:
        return [box for box in self._inside(outer) if box.kind == kind]

    def only(self, outer: _Box, kind: bytes) -> _Box:
        """Return the first box of a kind; there has to be one."""
        found = self.find(outer, kind)
        if not found:
            raise MP4Error(f"the file is truncated or damaged, or no sound: it has no box {kind.decode()}")
        return found[0]

    def times(self, box: _Box) -> tuple[int, int]:
        """Units a second and length, of ``mvhd`` and ``mdhd``."""
        version = self._content(box, 0, 1)[0]
        form, offset = (">IQ", 20) if version == 1 else (">II", 12)
        unit, length = self._unpacked(form, box, offset)
        if unit == 0:
            raise MP4Error(f"the file is damaged: its box {box.kind.decode()} states 0 ticks a second")
        return unit, length

    def handler(self, track: _Box) -> bytes:
        """Kind of a track: ``soun`` is sound."""
        return self._content(self.only(self.only(track, b"mdia"), b"hdlr"), 8, 4)

    def coding(self, box: _Box) -> str:
        (count,) = self._unpacked(">I", box, 4)
        if count != 1:
            raise MP4Error(f"the file changes its coding, which it describes {count} times; write it anew")
        return self._content(box, 12, 4).decode("latin-1")

    def sizes(self, box: _Box) -> tuple[int, int]:
        """Packets and bytes of all of them, of ``stsz``."""
        each, count = self._unpacked(">II", box, 4)
        if each:
            return count, each * count
        return count, int(self._table(box, 12, count).sum())

    def durations(self, box: _Box) -> tuple[int, int]:
        """Packets and their ticks, of ``stts``."""
        (count,) = self._unpacked(">I", box, 4)
        rows = self._table(box, 8, 2 * count).reshape(-1, 2)
        # Python's integers, for the products of hostile numbers do not fit in 64 bits.
        return int(rows[:, 0].sum()), sum(int(packets) * int(ticks) for packets, ticks in rows)

    def edit(self, track: _Box, ticks: int, ticks_per_movie_tick: Fraction) -> tuple[int, int] | None:
        """First tick and ticks that are played, of ``elst``.

        An edit is as long as the rest of the media where it states so but for the movie's coarser unit.
        """
        lists = [entries for outer in self.find(track, b"edts") for entries in self.find(outer, b"elst")]
        if not lists:
            return None
        edits = [edit for edit in self._edits(lists[0]) if edit[1] >= 0]
        if len(edits) != 1 or edits[0][2] != 1 << 16:
            raise MP4Error(
                f"the file is played in {len(edits)} pieces or at another speed; write it anew, as with ffmpeg"
            )
        movie_ticks, first, _ = edits[0]
        rest = max(ticks - first, 0)
        stated = movie_ticks * ticks_per_movie_tick
        # A length of 0 stands for all.
        shorter = movie_ticks > 0 and rest - stated >= max(ticks_per_movie_tick, Fraction(1))
        return first, round(stated) if shorter else rest

    def _edits(self, box: _Box) -> Iterator[tuple[int, int, int]]:
        """Length, first tick (-1 for silence) and speed as 16.16 of each edit."""
        version = self._content(box, 0, 1)[0]
        (count,) = self._unpacked(">I", box, 4)
        row = struct.Struct(">QqI" if version == 1 else ">IiI")
        if 8 + count * row.size > box.end - box.start or count > _MOST_BOXES:
            raise MP4Error("the file is damaged: its edit list is longer than the box that it is in")
        for index in range(count):
            length, first, speed = row.unpack(self._content(box, 8 + index * row.size, row.size))
            yield length, first, speed

    def _inside(self, outer: _Box) -> Iterator[_Box]:
        position = outer.start
        while position + 8 <= outer.end:
            self._left -= 1
            if self._left < 0:
                raise MP4Error(f"the file is damaged: it has more than {_MOST_BOXES} boxes")
            self._stream.seek(position)
            size, kind = struct.unpack(">I4s", self._exactly(8))
            header = 8
            if size == 1:
                (size,) = struct.unpack(">Q", self._exactly(8))
                header = 16
            end = outer.end if size == 0 else position + size
            if size and size < header:
                raise MP4Error("the file is damaged: a box is shorter than its header")
            if end > outer.end:
                raise MP4Error(
                    f"the file is truncated or damaged: a box ends {end - outer.end} bytes after what it is in"
                )
            yield _Box(kind, position + header, end)
            position = end

    def _table(self, box: _Box, offset: int, count: int) -> NDArray[np.uint64]:
        if offset + 4 * count > box.end - box.start or 4 * count > _MOST_TABLE_BYTES:
            raise MP4Error(f"the file is damaged: box {box.kind.decode()} states {count} numbers, more than it holds")
        return np.frombuffer(self._content(box, offset, 4 * count), ">u4").astype(np.uint64)

    def _unpacked(self, form: str, box: _Box, offset: int) -> tuple[int, ...]:
        return struct.unpack(form, self._content(box, offset, struct.calcsize(form)))

    def _content(self, box: _Box, offset: int, count: int) -> bytes:
        if box.start + offset + count > box.end:
            raise MP4Error(f"the file is damaged: its box {box.kind.decode('latin-1')} is too short")
        self._stream.seek(box.start + offset)
        return self._exactly(count)

    def _exactly(self, count: int) -> bytes:
        content = self._stream.read(count)
        if len(content) != count:
            raise MP4Error("the file is truncated")
        return content
