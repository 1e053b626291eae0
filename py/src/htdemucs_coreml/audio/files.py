"""Audio files as streams of samples that have been checked, whatever decodes them."""

import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from htdemucs_coreml.audio.blocks import equal_blocks
from htdemucs_coreml.audio.content import Content, content_of
from htdemucs_coreml.audio.decoder import Decoder
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.ffmpeg_decoder import FFmpegDecoder
from htdemucs_coreml.audio.file_version import FileVersion
from htdemucs_coreml.audio.libsndfile_decoder import LibsndfileDecoder, UnknownFormatError
from htdemucs_coreml.audio.resampling import require_supported_rate
from htdemucs_coreml.audio.tags import Tags

_COUNTING_BLOCK_FRAMES = 1 << 16
LONGEST_HOURS = 24
"""What states or holds more is no song, and its stems would fill a disk."""
# FLAC packs 65,535 frames of silence into 9 bytes or more; no other format comes near.
_MOST_FRAMES_PER_BYTE = 8192


class AudioFile:
    """An audio file that can be read from the start as often as needed, without holding it in memory.

    Opening checks that the file is there, is audio and, where its container tells, is not cut short. Reading
    checks every sample, and that the file is still the one that was opened first.

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
        See `Statement.container`.
    tags : Tags
        Title, artist and so on.

    Raises
    ------
    AudioError
        If the file is missing, is a folder, cannot be read, is empty, is no audio, is truncated, or states a
        rate or a length that cannot be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = self._version_of_content()
        try:
            self._decoder = self._decoder_of_content()
        except OSError as error:
            raise self._unreadable(error) from error
        statement = self._decoder.statement
        self.sample_rate_hz = statement.sample_rate_hz
        self.channels = statement.channels
        self.container = statement.container
        self.tags: Tags = statement.tags
        self._require_possible(statement.frames)

    @cached_property
    def frames(self) -> int:
        """Number of frames, counted by reading the whole file.

        What headers say of it is wrong often enough, and what is damaged is found before hours of work.

        Raises
        ------
        AudioError
            As for `blocks`.
        """
        return sum(block.shape[1] for block in self._checked_blocks(_COUNTING_BLOCK_FRAMES))

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
            On taking a block: if the file has no samples or more than it may, is damaged or truncated, holds NaN
            or infinity, or changed since it was opened first.
        """
        return equal_blocks(self._checked_blocks(block_frames), block_frames)

    def _checked_blocks(self, block_frames: int) -> Iterator[Tensor]:
        if FileVersion.at(self.path) != self._version:
            raise self._changed()
        frames_read = 0
        blocks = self._decoder.blocks(block_frames)
        try:
            while (block := self._next(blocks)) is not None:
                self._require_finite(block, frames_read)
                frames_read += block.shape[1]
                self._require_length(frames_read)
                yield block
        except AudioError:
            # What seems damaged may have been written into.
            self._require_unchanged()
            raise
        self._require_unchanged()
        if frames_read == 0:
            raise AudioError(f"{self.path}: the file has no samples")

    def _next(self, blocks: Iterator[Tensor]) -> Tensor | None:
        try:
            return next(blocks, None)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> AudioError:
        return AudioError(f"{self.path}: the file cannot be read: {error.strerror or error}")

    def _version_of_content(self) -> FileVersion:
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
        return FileVersion.of_status(status)

    def _decoder_of_content(self) -> Decoder:
        with self.path.open("rb") as stream:
            content, skipped_bytes = content_of(stream)
        if content is Content.OTHER:
            return LibsndfileDecoder(self.path)
        if content is Content.CAF:
            # libsndfile does not decode AAC in it, nor all ALAC.
            with suppress(UnknownFormatError):
                return LibsndfileDecoder(self.path)
        return FFmpegDecoder(self.path, content, skipped_bytes)

    def _require_possible(self, stated_frames: int | None) -> None:
        try:
            require_supported_rate(self.sample_rate_hz)
        except AudioError as error:
            raise AudioError(f"{self.path}: {error}") from error
        if stated_frames is None:
            return
        if stated_frames > _MOST_FRAMES_PER_BYTE * self._version.size_bytes:
            raise AudioError(
                f"{self.path}: the file is truncated or damaged: it states {stated_frames} frames, which its "
                f"{self._version.size_bytes} bytes cannot hold"
            )
        self._require_length(stated_frames)

    def _require_length(self, frames: int) -> None:
        if frames > LONGEST_HOURS * 3600 * self.sample_rate_hz:
            raise AudioError(f"{self.path}: the file is longer than {LONGEST_HOURS} h; cut it into parts")

    def _require_unchanged(self) -> None:
        if self._version.was_written_into(FileVersion.at(self.path)):
            raise self._changed()

    def _changed(self) -> AudioError:
        return AudioError(f"{self.path}: the file changed while it was read; separate it again when it is complete")

    def _require_finite(self, block: Tensor, position: int) -> None:
        finite = torch.isfinite(block).all(dim=0)
        if bool(finite.all()):
            return
        first = int(finite.logical_not().nonzero()[0])
        kind = "NaN" if bool(block[:, first].isnan().any()) else "infinite"
        raise AudioError(f"{self.path}: the sample at {(position + first) / self.sample_rate_hz:.3f} s is {kind}")
