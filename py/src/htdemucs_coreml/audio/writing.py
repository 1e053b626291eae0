"""Writing stereo audio files as streams, with bytes that depend on the samples and the format alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, assert_never

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.tags import NO_TAGS, SOUNDFILE_TAG_NAMES, Tags
from htdemucs_coreml.audio.wav import wav_header, wav_info

_CHANNELS = 2
_CLAMPED_PEAK = 0.99
_RESCALED_HEADROOM = 1.01
_SPOOL_BLOCK_FRAMES = 1 << 16
_SYSTEM_ERROR = 2  # of libsndfile
_PROBE_BYTES = 1 << 20

WriteBlock = Callable[[Tensor], None]
"""Writes the next frames of a file: float32 ``[2, n]``, finite."""


class Container(StrEnum):
    """Kinds of file; the value is the file name's suffix."""

    WAV = "wav"
    FLAC = "flac"


class Encoding(StrEnum):
    """How samples are stored. Integers are rounded to nearest, and cut at full scale where they do not fit."""

    FLOAT32 = "float32"
    INT24 = "int24"
    INT16 = "int16"


_INTEGER_BITS = {Encoding.INT24: 24, Encoding.INT16: 16}


class ClipMode(StrEnum):
    """What is done about samples beyond full scale.

    ``none``: nothing; integers are cut where they do not fit. ``rescale``: a file whose peak would reach full
    scale is made quieter as a whole, by ``1 / (1.01 peak)``; levels between stems change. ``clamp``: samples
    are cut at 0.99. Source: demucs 4.1.0, ``audio.prevent_clip``.
    """

    NONE = "none"
    RESCALE = "rescale"
    CLAMP = "clamp"


@dataclass(frozen=True)
class AudioFormat:
    """Container and encoding of a file.

    Raises
    ------
    AudioError
        If they do not go together: FLAC has no floating-point samples.
    """

    container: Container
    encoding: Encoding

    def __post_init__(self) -> None:
        if self.container is Container.FLAC and self.encoding is Encoding.FLOAT32:
            raise AudioError("FLAC cannot hold float32 samples: take int24, int16 or a WAV file")


@contextmanager
def audio_writer(
    path: Path,
    audio_format: AudioFormat,
    sample_rate_hz: int,
    frames: int,
    clip_mode: ClipMode,
    tags: Tags = NO_TAGS,
) -> Iterator[WriteBlock]:
    """Write a stereo file block by block; it is complete when the context ends without an exception.

    Parameters
    ----------
    path : Path
        Where to write. What is there is replaced; on failure a part may remain, so write to a temporary
        place.
    audio_format : AudioFormat
        Container and encoding.
    sample_rate_hz, frames : int
        Rate and exact length.
    clip_mode : ClipMode
        What is done about samples beyond full scale. ``rescale`` has to know the peak first, and keeps the
        samples in a file beside `path` until the end.
    tags : Tags
        Title, artist and so on: Vorbis comments of a FLAC file, a chunk ``LIST`` after the samples of a WAV file.
        A file without tags has neither.

    Yields
    ------
    WriteBlock

    Raises
    ------
    AudioError
        If other than `frames` frames were written, or the format cannot have this rate.
    OSError
        If writing fails.
    """
    encoder = _encoder(path, audio_format, sample_rate_hz, frames, tags)
    with _clipping_writer(path, encoder, clip_mode) as write_block:
        written = 0

        def write(block: Tensor) -> None:
            nonlocal written
            write_block(block)
            written += block.shape[1]

        yield write
        if written != frames:
            raise AudioError(f"{path}: {written} frames were written where {frames} were announced")


@contextmanager
def _clipping_writer(
    path: Path, encoder: AbstractContextManager[WriteBlock], clip_mode: ClipMode
) -> Iterator[WriteBlock]:
    match clip_mode:
        case ClipMode.NONE:
            with encoder as encode:
                yield encode
        case ClipMode.CLAMP:
            with encoder as encode:
                yield lambda block: encode(block.clamp(-_CLAMPED_PEAK, _CLAMPED_PEAK))
        case ClipMode.RESCALE:
            with _spool(path) as spool:
                yield spool.write
                gain = 1 / max(_RESCALED_HEADROOM * spool.peak, 1.0)
                with encoder as encode:
                    for block in spool.blocks():
                        encode(block * gain)
        case _:
            assert_never(clip_mode)


class _Spool:
    """Samples in a temporary file, and their peak."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.peak = 0.0

    def write(self, block: Tensor) -> None:
        if block.numel():
            self.peak = max(self.peak, float(block.abs().max()))
            self._stream.write(_interleaved(block).astype("<f4").tobytes())

    def blocks(self) -> Iterator[Tensor]:
        self._stream.seek(0)
        while samples := self._stream.read(_SPOOL_BLOCK_FRAMES * _CHANNELS * 4):
            yield torch.from_numpy(np.frombuffer(samples, "<f4").astype(np.float32).reshape(-1, _CHANNELS).T)


@contextmanager
def _spool(path: Path) -> Iterator[_Spool]:
    spooled = path.with_name(f"{path.name}.spool")
    try:
        with spooled.open("w+b") as stream:
            yield _Spool(stream)
    finally:
        spooled.unlink(missing_ok=True)


@contextmanager
def _encoder(
    path: Path, audio_format: AudioFormat, sample_rate_hz: int, frames: int, tags: Tags
) -> Iterator[WriteBlock]:
    encoding = audio_format.encoding
    match audio_format.container:
        case Container.WAV:
            with path.open("wb") as stream:
                info = wav_info(tags)
                bits = _INTEGER_BITS.get(encoding)
                stream.write(wav_header(bits, sample_rate_hz, frames, len(info)))

                def write_wav(block: Tensor) -> None:
                    stream.write(_wav_samples(block, encoding))

                yield write_wav
                stream.write(info)
        case Container.FLAC:
            with _flac_writer(path, encoding, sample_rate_hz, tags) as write_flac:
                yield write_flac
        case _:
            assert_never(audio_format.container)


@contextmanager
def _flac_writer(path: Path, encoding: Encoding, sample_rate_hz: int, tags: Tags) -> Iterator[WriteBlock]:
    bits = _INTEGER_BITS[encoding]
    try:
        with soundfile.SoundFile(
            os.fsencode(path), "w", sample_rate_hz, _CHANNELS, subtype=f"PCM_{bits}", format="FLAC"
        ) as sound_file:
            for name, text in tags.items():
                setattr(sound_file, SOUNDFILE_TAG_NAMES.get(name, name), text)

            def write_flac(block: Tensor) -> None:
                # libsndfile takes the upper bits of 32-bit integers.
                sound_file.write(_interleaved(_quantised(block, bits) << (32 - bits)))

            yield write_flac
    except soundfile.LibsndfileError as error:
        if error.code == _SYSTEM_ERROR:
            _require_room(path)
        raise AudioError(
            f"{path.name}: a FLAC file of {sample_rate_hz} Hz could not be written: {error.error_string}"
        ) from error


def _require_room(path: Path) -> None:
    """Write on at the end of a file that libsndfile could not write on: the system says why, which libsndfile keeps.

    Raises
    ------
    OSError
        As where the disk is full.
    """
    with path.open("ab") as stream:
        stream.write(bytes(_PROBE_BYTES))
        stream.flush()
        os.fsync(stream.fileno())


def _wav_samples(block: Tensor, encoding: Encoding) -> bytes:
    match encoding:
        case Encoding.FLOAT32:
            return _interleaved(block).astype("<f4").tobytes()
        case Encoding.INT24:
            integers = _interleaved(_quantised(block, 24)).astype("<i4")
            # The low three of the four bytes of each little-endian integer.
            return integers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
        case Encoding.INT16:
            return _interleaved(_quantised(block, 16)).astype("<i2").tobytes()
        case _:
            assert_never(encoding)


def _quantised(block: Tensor, bits: int) -> Tensor:
    """Round to integers of `bits` bits, full scale being ``2 ** (bits - 1)``: int32 ``[2, n]``.

    The scale is that of readers, so that what was read from integers is written as the same integers.
    """
    full_scale = 1 << (bits - 1)
    scaled = (block.to(torch.float64) * full_scale).round()
    return scaled.clamp(-full_scale, full_scale - 1).to(torch.int32)


def _interleaved(block: Tensor) -> NDArray[Any]:
    return block.T.contiguous().numpy()
