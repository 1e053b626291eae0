"""WAV, AIFF, CAF, FLAC, MP3, Ogg and whatever else libsndfile reads."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import RawIOBase
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from htdemucs_coreml.audio.decoder import Statement
from htdemucs_coreml.audio.decoder_messages import without_decoder_messages
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.tags import SOUNDFILE_TAG_NAMES, Tags, tags_from
from htdemucs_coreml.audio.truncation import ogg_pages_missing, stated_bytes_missing
from htdemucs_coreml.audio.unstated_wav import with_stated_size

_UNSTATED_FRAMES = (1 << 63) - 1
# What encoders and decoders of MP3 may disagree on: the padding of the first and of the last frame of 1152.
_MP3_TOLERANCE_FRAMES = 2 * 1152


class UnknownFormatError(AudioError):
    """A file is nothing that libsndfile reads."""


class LibsndfileDecoder:
    """A `Decoder` by libsndfile.

    Parameters
    ----------
    path : Path
        A regular file.

    Raises
    ------
    UnknownFormatError
        If libsndfile does not know what it is.
    AudioError
        If the file is truncated as far as its container tells, or cannot be read to its end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as sound_file:
            container = str(sound_file.format)
            stated_frames = int(sound_file.frames)
            self._statement = Statement(
                container=container,
                sample_rate_hz=int(sound_file.samplerate),
                channels=int(sound_file.channels),
                frames=None if stated_frames == _UNSTATED_FRAMES else stated_frames,
                tags=_tags_of(sound_file),
            )
            missing_bytes = stated_bytes_missing(sound_file.extra_info)
        if missing_bytes:
            raise AudioError(f"{path}: the file is truncated, {missing_bytes} bytes of its samples are missing")
        if container == "FLAC" and self._statement.frames is None:
            # libsndfile 1.2.2 loses the end of such a file.
            raise AudioError(f"{path}: this FLAC file does not state its length; write it anew, as with flac or ffmpeg")
        if container == "OGG" and ogg_pages_missing(path):
            raise AudioError(f"{path}: the file is truncated or damaged, pages of it are missing")

    @property
    def statement(self) -> Statement:
        """What the file says of itself."""
        return self._statement

    def blocks(self, block_frames: int) -> Iterator[Tensor]:
        """Read from the start in blocks of `block_frames`; see `Decoder`."""
        frames_read = 0
        with self._opened() as sound_file:
            stated_frames = int(sound_file.frames)
            while len(samples := self._read(sound_file, block_frames)):
                frames_read += len(samples)
                yield torch.from_numpy(np.ascontiguousarray(samples.T))
        tolerance = _MP3_TOLERANCE_FRAMES if self._statement.container == "MP3" else 0
        if stated_frames != _UNSTATED_FRAMES and frames_read < stated_frames - tolerance:
            rate_hz = self._statement.sample_rate_hz
            raise AudioError(
                f"{self._path}: the file is truncated or damaged: {frames_read / rate_hz:.3f} s of the "
                f"{stated_frames / rate_hz:.3f} s that its header states can be decoded"
            )

    @contextmanager
    def _opened(self) -> Iterator[soundfile.SoundFile]:
        try:
            with ExitStack() as stack:
                patched = with_stated_size(self._path, stack)
                sound_file = _sound_file(os.fsencode(self._path) if patched is None else patched, stack)
                if sound_file.format == "MP3":
                    sound_file = _with_all_frames(sound_file, self._path, stack)
                yield sound_file
        except soundfile.LibsndfileError as error:
            raise UnknownFormatError(
                f"{self._path}: this is not an audio file of a kind that can be read, such as WAV, FLAC, MP3, M4A "
                "or Ogg"
            ) from error

    def _read(self, sound_file: soundfile.SoundFile, frames: int) -> NDArray[np.float32]:
        try:
            with without_decoder_messages():
                samples: NDArray[np.float32] = sound_file.read(frames, dtype="float32", always_2d=True)
            return samples
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self._path}: the file is truncated or damaged: not all of it can be decoded") from error


def _tags_of(sound_file: soundfile.SoundFile) -> Tags:
    return tags_from(lambda name: str(getattr(sound_file, SOUNDFILE_TAG_NAMES.get(name, name))))


def _sound_file(file: bytes | int | RawIOBase, stack: ExitStack) -> soundfile.SoundFile:
    """Open a path, a descriptor or a stream until `stack` ends; a descriptor or stream is left open."""
    with without_decoder_messages():
        return stack.enter_context(soundfile.SoundFile(file, closefd=False))


def _with_all_frames(seekable: soundfile.SoundFile, path: Path, stack: ExitStack) -> soundfile.SoundFile:
    """Reopen an MP3 file through a pipe if it does not state its length.

    libsndfile 1.2 guesses the length of such a file from the bit rate of its first frame and reads no
    further, which loses most of some files of variable bit rate. Where it cannot seek it does not guess, and
    reads to the end.
    """
    with ExitStack() as attempt:
        streamed = _sound_file(attempt.enter_context(_fed_pipe(path)), attempt)
        if not streamed.seekable():
            stack.enter_context(attempt.pop_all())
            return streamed
    return seekable


@contextmanager
def _fed_pipe(path: Path) -> Iterator[int]:
    """Yield the end to read of a pipe that a thread feeds with a file."""
    read_end, write_end = os.pipe()
    feeder = threading.Thread(target=_feed, args=(path, write_end), daemon=True)
    feeder.start()
    try:
        yield read_end
    finally:
        os.close(read_end)
        feeder.join()


def _feed(path: Path, descriptor: int) -> None:
    try:
        with os.fdopen(descriptor, "wb") as sink, path.open("rb") as source:
            shutil.copyfileobj(source, sink)
    except BrokenPipeError:
        # The reader has seen enough.
        return
