"""Reading audio files as streams: WAV, FLAC, MP3, Ogg and whatever else libsndfile knows."""

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from htdemucs_coreml.audio.decoder_messages import without_decoder_messages
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.truncation import ogg_pages_missing, stated_bytes_missing

_COUNTING_BLOCK_FRAMES = 1 << 16
_UNSTATED_FRAMES = (1 << 63) - 1
# What encoders and decoders of MP3 may disagree on: the padding of the first and of the last frame of 1152.
_MP3_TOLERANCE_FRAMES = 2 * 1152


class AudioFile:
    """An audio file that can be read from the start as often as needed, without holding it in memory.

    Opening checks that the file is there, is audio and, where its container tells, is not cut short. Reading
    checks every sample.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    path : Path
        As given.
    sample_rate_hz : int
        Frames per second.
    channels : int
        Samples per frame.
    container : str
        libsndfile's name of the file's major format: ``WAV``, ``FLAC``, ``MP3``, ``OGG``, …

    Raises
    ------
    AudioError
        If the file is missing, is a folder, cannot be read, is empty, is no audio or is truncated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._require_content()
        with self._opened() as sound_file:
            self.sample_rate_hz = int(sound_file.samplerate)
            self.channels = int(sound_file.channels)
            self.container = str(sound_file.format)
            missing_bytes = stated_bytes_missing(sound_file.extra_info)
            streamed_flac = self.container == "FLAC" and sound_file.frames == _UNSTATED_FRAMES
        if missing_bytes:
            raise AudioError(f"{path}: the file is truncated, {missing_bytes} bytes of its samples are missing")
        if streamed_flac:
            # libsndfile 1.2.2 loses the end of such a file.
            raise AudioError(f"{path}: this FLAC file does not state its length; write it anew, as with flac or ffmpeg")
        if self.container == "OGG" and ogg_pages_missing(path):
            raise AudioError(f"{path}: the file is truncated or damaged, pages of it are missing")

    @cached_property
    def frames(self) -> int:
        """Number of frames, counted by reading the whole file: what headers say of it is wrong often enough.

        Raises
        ------
        AudioError
            As for `blocks`.
        """
        return sum(block.shape[1] for block in self.blocks(_COUNTING_BLOCK_FRAMES))

    def blocks(self, block_frames: int) -> Iterator[Tensor]:
        """Read from the start.

        Parameters
        ----------
        block_frames : int
            Frames of each block; the last one has what remains.

        Returns
        -------
        iterator of Tensor [channels, n], float32
            Finite samples, full scale 1.0.

        Raises
        ------
        AudioError
            On taking a block: if the file has no samples, is damaged or truncated, or holds NaN or infinity.
        """
        frames_read = 0
        with self._opened() as sound_file:
            stated_frames = int(sound_file.frames)
            while len(samples := self._read(sound_file, block_frames)):
                block = torch.from_numpy(np.ascontiguousarray(samples.T))
                self._require_finite(block, frames_read)
                frames_read += len(samples)
                yield block
        tolerance = _MP3_TOLERANCE_FRAMES if self.container == "MP3" else 0
        if stated_frames != _UNSTATED_FRAMES and frames_read < stated_frames - tolerance:
            raise AudioError(
                f"{self.path}: the file is truncated or damaged: {self._seconds(frames_read)} of the "
                f"{self._seconds(stated_frames)} that its header states can be decoded"
            )
        if frames_read == 0:
            raise AudioError(f"{self.path}: the file has no samples")

    def _require_content(self) -> None:
        try:
            status = self.path.stat()
            # Opening a pipe would wait for its writer.
            if stat.S_ISREG(status.st_mode):
                with self.path.open("rb"):
                    pass
        except FileNotFoundError as error:
            raise AudioError(f"{self.path}: there is no such file") from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise AudioError(f"{self.path}: the file cannot be read: {reason}") from error
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(f"{self.path}: this is a folder; name the audio files in it")
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{self.path}: this is not a regular file; audio is read more than once")
        if status.st_size == 0:
            raise AudioError(f"{self.path}: the file is empty (0 bytes)")

    @contextmanager
    def _opened(self) -> Iterator[soundfile.SoundFile]:
        try:
            with ExitStack() as stack:
                sound_file = _sound_file(os.fsencode(self.path), stack)
                if sound_file.format == "MP3":
                    sound_file = _with_all_frames(sound_file, self.path, stack)
                yield sound_file
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{self.path}: this is not an audio file of a kind that can be read, such as WAV, FLAC, MP3 or Ogg"
            ) from error

    def _read(self, sound_file: soundfile.SoundFile, frames: int) -> NDArray[np.float32]:
        try:
            with without_decoder_messages():
                samples: NDArray[np.float32] = sound_file.read(frames, dtype="float32", always_2d=True)
            return samples
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self.path}: the file is truncated or damaged: not all of it can be decoded") from error

    def _require_finite(self, block: Tensor, position: int) -> None:
        finite = torch.isfinite(block).all(dim=0)
        if bool(finite.all()):
            return
        first = int(finite.logical_not().nonzero()[0])
        kind = "NaN" if bool(block[:, first].isnan().any()) else "infinite"
        raise AudioError(f"{self.path}: the sample at {self._seconds(position + first)} is {kind}")

    def _seconds(self, frames: int) -> str:
        return f"{frames / self.sample_rate_hz:.3f} s"


def _sound_file(file: bytes | int, stack: ExitStack) -> soundfile.SoundFile:
    """Open a path or a descriptor until `stack` ends; the descriptor is left open."""
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
