"""Files as other programs write them: AAC and ALAC by FFmpeg, and containers put together by hand."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 6: "5.1"}
_PACKET_FRAMES = 4096


def encode(
    path: Path,
    samples: NDArray[np.float32],
    codec: str,
    rate_hz: int = 44_100,
    container: str | None = None,
    tags: dict[str, str] | None = None,
    tracks: int = 1,
    layout: str | None = None,
    **options: str,
) -> Path:
    """Encode ``[frames, channels]`` with FFmpeg; options go to the container's writer."""
    channels = samples.shape[1]
    layout = layout or _LAYOUTS[channels]
    with av.open(str(path), "w", format=container, options=options) as output:
        output.metadata.update(tags or {})
        # Typed as streams of any kind.
        streams: list[Any] = [output.add_stream(codec, rate=rate_hz, layout=layout) for _ in range(tracks)]
        for stream in streams:
            if codec == "aac":
                stream.bit_rate = 256_000
            if not stream.codec_context.is_open:
                stream.codec_context.open()
            packet_frames = stream.codec_context.frame_size or _PACKET_FRAMES
            resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate_hz)
            for start in range(0, len(samples), packet_frames):
                block = np.ascontiguousarray(samples[start : start + packet_frames].T)
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.sample_rate = rate_hz
                frame.pts, frame.time_base = start, Fraction(1, rate_hz)
                for converted in resampler.resample(frame):
                    output.mux(stream.encode(converted))
            output.mux(stream.encode(None))
    return path


def aac_caf(path: Path, adts: Path, first_frame: int, frames: int) -> Path:
    """Put the packets of a stereo ADTS file at 44.1 kHz into a Core Audio file, which FFmpeg cannot write."""
    content = adts.read_bytes()
    packets = []
    while content:
        size = (content[3] & 3) << 11 | content[4] << 3 | content[5] >> 5
        packets.append(content[7:size])
        content = content[size:]
    configuration = bytes([0x12, 0x10])  # AAC-LC, 44.1 kHz, two channels: ISO/IEC 14496-3, section 1.6
    remainder = 1024 * len(packets) - first_frame - frames
    table = struct.pack(">qqii", len(packets), frames, first_frame, remainder)
    table += b"".join(_variable_length(len(packet)) for packet in packets)
    chunks = {
        b"desc": struct.pack(">d4sIIIII", 44_100.0, b"aac ", 0, 0, 1024, 2, 0),
        b"kuki": _elementary_stream_descriptor(configuration),
        b"pakt": table,
        b"data": bytes(4) + b"".join(packets),
    }
    body = b"".join(struct.pack(">4sq", kind, len(chunk)) + chunk for kind, chunk in chunks.items())
    path.write_bytes(b"caff\0\x01\0\0" + body)
    return path


def _variable_length(number: int) -> bytes:
    """Seven bits a byte, the highest first, as Core Audio writes sizes of packets."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def _elementary_stream_descriptor(configuration: bytes) -> bytes:
    """The magic cookie of AAC, with lengths of four bytes as Apple writes them: ISO/IEC 14496-1, section 7.2.6."""
    decoder = bytes([0x40, 0x15]) + bytes(11) + _descriptor(5, configuration)
    return _descriptor(3, bytes(3) + _descriptor(4, decoder))


def _descriptor(kind: int, content: bytes) -> bytes:
    return bytes([kind, 0x80, 0x80, 0x80, len(content)]) + content
