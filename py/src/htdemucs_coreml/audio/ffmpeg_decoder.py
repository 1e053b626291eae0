"""AAC and ALAC, in MP4 and QuickTime files, in Core Audio files and as bare ADTS frames.

FFmpeg, through PyAV, takes files apart and decodes packets. It is held to the one kind of container that the file's
first bytes announce and to a few decoders of sound, it has no way to open another file or address, and what it drops
or conceals is found by counting bytes and frames against the container's own statement.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import torch
from av.codec.context import Flags2
from torch import Tensor

from htdemucs_coreml.audio.caf_statement import read_packet_table
from htdemucs_coreml.audio.content import Content
from htdemucs_coreml.audio.decoder import Statement
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.mp4_statement import read_sound_track
from htdemucs_coreml.audio.tags import tags_from

_DEMUXERS = {Content.MP4: "mov", Content.ADTS: "aac", Content.CAF: "caf"}
_CONTAINERS = {Content.MP4: "M4A", Content.ADTS: "AAC", Content.CAF: "CAF"}
_DECODERS = ("aac", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le")
_OPTIONS = {
    "protocol_whitelist": "",
    "codec_whitelist": ",".join(_DECODERS),
    # Edit lists are applied here, to the sample.
    "ignore_editlist": "1",
}
_DECODER_OPTIONS = {
    "err_detect": "crccheck+bitstream+explode",
    # A packet of AAC has 2048 frames at most, one of ALAC 4096; an ALAC header may state any number.
    "max_samples": "65536",
}
_READ_BYTES = 1 << 18
# Which channel is which is known of these; `StereoMixer` takes them by their number.
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "quad(side)", "5.0", "5.0(side)", "5.1", "5.1(side)")
_METADATA_NAMES = {"track_number": "track"}


@dataclass(frozen=True)
class _Part:
    """The part of the decoded frames that is played; no length stands for all."""

    first: int
    frames: int | None


class FFmpegDecoder:
    """A `Decoder` by FFmpeg.

    Parameters
    ----------
    path : Path
        A regular file.
    content : Content
        What it holds; not ``OTHER``.
    skipped_bytes : int
        Length of a tag before the content.

    Raises
    ------
    AudioError
        If the file is damaged, truncated or protected, has no or several tracks of sound, or is coded in
        another way than this decoder knows.
    """

    def __init__(self, path: Path, content: Content, skipped_bytes: int = 0) -> None:
        self._path = path
        self._content = content
        self._skipped_bytes = skipped_bytes
        stated_part, self._packet_bytes = self._stated()
        with self._opened() as (container, stream):
            rate_hz, channels = self._rate_and_channels(container, stream)
            metadata = {**stream.metadata, **container.metadata}
        self._part = stated_part(rate_hz, metadata)
        self._statement = Statement(
            container=_CONTAINERS[content],
            sample_rate_hz=rate_hz,
            channels=channels,
            frames=self._part.frames,
            tags=tags_from(lambda name: metadata.get(_METADATA_NAMES.get(name, name))),
        )

    @property
    def statement(self) -> Statement:
        """What the file says of itself."""
        return self._statement

    def blocks(self, block_frames: int) -> Iterator[Tensor]:
        """Read from the start in blocks of a packet each; see `Decoder`."""
        # Packets have a length of their own.
        del block_frames
        decoded = 0
        end = None if self._part.frames is None else self._part.first + self._part.frames
        with self._opened() as (container, stream):
            for frame in self._frames(container, stream):
                samples = _float_samples(frame)
                block = samples[:, max(self._part.first - decoded, 0) : None if end is None else max(end - decoded, 0)]
                decoded += samples.shape[1]
                if block.shape[1]:
                    yield block
        if end is not None and decoded < end:
            rate_hz = self._statement.sample_rate_hz
            raise self._damaged(f"{decoded / rate_hz:.3f} s of the {end / rate_hz:.3f} s that it states can be decoded")

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Decode every packet, and check that there are as many bytes of them as the container states."""
        found_bytes = 0
        expected = (self._statement.sample_rate_hz, self._statement.channels)
        with self._errors():
            for packet in container.demux(stream):
                found_bytes += packet.size
                if packet.is_corrupt:
                    raise self._damaged("a packet is not whole")
                for frame in packet.decode():
                    if (frame.sample_rate, frame.layout.nb_channels) != expected:
                        raise self._damaged("its rate or its number of channels changes")
                    yield frame
        if self._packet_bytes is not None and found_bytes != self._packet_bytes:
            raise self._damaged(f"{found_bytes} of the {self._packet_bytes} bytes of sound that it states are there")
        if self._content is Content.ADTS:
            self._require_nothing_after(self._skipped_bytes + found_bytes)

    def _rate_and_channels(self, container: Any, stream: Any) -> tuple[int, int]:
        """Decode the first packets: a header may state other than what comes out, as with spectral band replication."""
        with self._errors():
            frame = next((frame for packet in container.demux(stream) for frame in packet.decode()), None)
        if frame is None:
            raise AudioError(f"{self._path}: the file has no samples")
        if frame.layout.name not in _LAYOUTS:
            raise AudioError(
                f"{self._path}: its {frame.layout.nb_channels} channels, {frame.layout.name}, have no known layout to "
                "mix down: give a file of at most 6"
            )
        return int(frame.sample_rate), int(frame.layout.nb_channels)

    def _stated(self) -> tuple[Callable[[int, dict[str, str]], _Part], int | None]:
        """Read the container's statement: which part is played, given the rate and the tags, and bytes of packets."""
        try:
            with self._path.open("rb") as stream:
                if self._content is Content.MP4:
                    track = read_sound_track(stream)
                elif self._content is Content.CAF:
                    table = read_packet_table(stream)
                    return lambda _rate, _tags: _Part(table.first_frame, table.frames), table.packet_bytes
                else:
                    return lambda _rate, _tags: _Part(0, None), None
        except AudioError as error:
            raise AudioError(f"{self._path}: {error}") from error

        def played(rate_hz: int, metadata: dict[str, str]) -> _Part:
            first, ticks = track.edit or _gapless(metadata.get("iTunSMPB"), track.ticks) or (0, track.ticks)
            frames_per_tick = Fraction(rate_hz, track.ticks_per_second)
            return _Part(round(first * frames_per_tick), round(ticks * frames_per_tick))

        return played, track.packet_bytes

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        demuxer = _DEMUXERS[self._content]
        with self._path.open("rb") as file:
            with self._errors():
                container = av.open(
                    _Source(file),
                    mode="r",
                    format=demuxer,
                    container_options=_OPTIONS,
                    metadata_errors="replace",
                    buffer_size=_READ_BYTES,
                    io_open=_refuse_to_open,
                )
            with container:
                yield container, self._stream(container)

    def _stream(self, container: Any) -> Any:
        streams = container.streams.audio
        if len(streams) != 1 or streams[0].codec_context is None or streams[0].codec_context.name not in _DECODERS:
            name = streams[0].codec_context.name if streams and streams[0].codec_context is not None else "unknown"
            raise AudioError(
                f"{self._path}: the sound is coded as {name}, and AAC and ALAC are read from such a file; write it "
                "anew, as with `ffmpeg -i IN OUT.flac`"
            )
        stream = streams[0]
        stream.codec_context.options = _DECODER_OPTIONS
        # Delay and padding are cut here, to the sample.
        stream.codec_context.flags2 |= Flags2.skip_manual
        return stream

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise self._damaged(f"not all of it can be decoded ({error.strerror})") from error

    def _damaged(self, reason: str) -> AudioError:
        return AudioError(f"{self._path}: the file is truncated or damaged: {reason}")

    def _require_nothing_after(self, position: int) -> None:
        """Check that only a tag follows as many bytes as all ADTS frames have.

        FFmpeg passes over what is no frame, and says nothing.
        """
        with self._path.open("rb") as file:
            file.seek(position)
            rest = file.read(8)
        if rest and not rest.startswith((b"TAG", b"APETAGEX")):
            raise self._damaged(f"only {position} bytes of it are whole frames")


class _Source:
    """A file for PyAV, which prints what `seek` raises."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int) -> int:
        """Seek as FFmpeg expects it: a place that cannot be is a negative number."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL


def _refuse_to_open(url: str, *_: object) -> object:
    raise AudioError(f"the file refers to another, {url!r}")


def _gapless(text: str | None, ticks: int) -> tuple[int, int] | None:
    """First tick and ticks that are played, of iTunes' tag ``iTunSMPB``; None where it does not fit the track.

    The tag is a list of hexadecimal numbers: zero, delay, padding, length.
    """
    try:
        delay, padding, length = (int(number, 16) for number in (text or "").split()[1:4])
    except ValueError:
        return None
    return (delay, length) if min(delay, padding, length) >= 0 and delay + length + padding == ticks else None


def _float_samples(frame: Any) -> Tensor:
    """Samples of a frame, float32 ``[channels, n]``."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    if array.dtype.kind == "i":
        array = array.astype(np.float64) / (1 << (8 * array.dtype.itemsize - 1))
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
