"""From an audio file to a folder of stems, with memory that does not grow with the song."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from htdemucs_coreml.audio.blocks import equal_blocks
from htdemucs_coreml.audio.channels import StereoMixer
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.resampling import StreamResampler, resampled, resampled_frames
from htdemucs_coreml.audio.writing import (
    AudioFormat,
    ClipMode,
    Container,
    Encoding,
    WriteBlock,
    audio_writer,
)
from htdemucs_coreml.backends.base import CoreBackend
from htdemucs_coreml.core.contract import AUDIO_CHANNELS, SAMPLE_RATE_HZ
from htdemucs_coreml.pipeline.chunk_plan import ChunkPlan
from htdemucs_coreml.pipeline.separation import (
    Progress,
    SeparationError,
    separate_track,
    stem_indices,
)
from htdemucs_coreml.pipeline.stem_folder import OutputError, require_usable, staged_folder
from htdemucs_coreml.pipeline.stem_record import InputState, making, was_made, write_record
from htdemucs_coreml.pipeline.track import BLOCK_SAMPLES, ForwardReader

FLOAT32_WAV = AudioFormat(Container.WAV, Encoding.FLOAT32)

_STEM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class FileOptions:
    """Which files are written, and how.

    Attributes
    ----------
    stems : tuple of str, optional
        Which stems; by default all.
    two_stems : str, optional
        Write this stem and ``no_`` + its name, the rest of the mix, in place of `stems`: in float32 and without a
        change of level, every sample of the rest is the float32 nearest to the input's less the stem's.
    audio_format : AudioFormat
        Container and encoding of the files.
    clip_mode : ClipMode, optional
        What is done about samples beyond full scale. By default nothing where the encoding can hold them, and
        ``rescale`` where it cannot.
    downmix : bool
        Whether to mix an input of more than two channels down to stereo.
    """

    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    audio_format: AudioFormat = FLOAT32_WAV
    clip_mode: ClipMode | None = None
    downmix: bool = False

    @property
    def effective_clip_mode(self) -> ClipMode:
        """`clip_mode`, or what stands for it by default."""
        if self.clip_mode is not None:
            return self.clip_mode
        return ClipMode.NONE if self.audio_format.encoding is Encoding.FLOAT32 else ClipMode.RESCALE

    @property
    def separated_stems(self) -> tuple[str, ...] | None:
        """The stems that a core is asked for."""
        return self.stems if self.two_stems is None else (self.two_stems,)


@dataclass(frozen=True)
class SeparatedFile:
    """What `separate_file` wrote.

    Attributes
    ----------
    folder : Path
        The folder of stems.
    stems : dict of str to Path
        Each file by its stem.
    sample_rate_hz, frames : int
        Rate and length of the input, and of each stem.
    """

    folder: Path
    stems: dict[str, Path]
    sample_rate_hz: int
    frames: int


class FileTrack:
    """An audio file as a `Track`: stereo, at the core's rate.

    Parameters
    ----------
    audio : AudioFile
        The file.
    downmix : bool
        Whether to mix more than two channels down.

    Raises
    ------
    AudioError
        If the channels cannot be made stereo.
    """

    def __init__(self, audio: AudioFile, *, downmix: bool = False) -> None:
        self._audio = audio
        self._mixer = StereoMixer(audio.channels, downmix=downmix, container=audio.container)

    @property
    def samples(self) -> int:
        """Length at the core's rate; reads the file if that was not done before."""
        return resampled_frames(self._audio.frames, self._audio.sample_rate_hz, SAMPLE_RATE_HZ)

    def stereo_blocks(self) -> Iterator[Tensor]:
        """Read from the start at the file's own rate: float32 ``[2, n]``."""
        return map(self._mixer.stereo, self._audio.blocks(BLOCK_SAMPLES))

    def blocks(self) -> Iterator[Tensor]:
        """Read from the start at the core's rate: float32 ``[2, n]``, as a `Track` has to."""
        at_core_rate = resampled(
            self.stereo_blocks(), self._audio.sample_rate_hz, SAMPLE_RATE_HZ, AUDIO_CHANNELS, self.samples
        )
        return equal_blocks(at_core_rate, BLOCK_SAMPLES)


def separate_file(
    input_path: Path,
    output_folder: Path,
    backend: CoreBackend,
    plan: ChunkPlan,
    options: FileOptions = FileOptions(),
    progress: Progress | None = None,
    *,
    name: str | None = None,
) -> SeparatedFile:
    """Separate an audio file into ``output_folder/<song>/<stem>.<suffix>``, at the input's rate and length.

    Stems have the tags of the input: its title, artist and so on. Beside them goes a hidden record of how they were
    made; see `htdemucs_coreml.pipeline.stem_record`.

    Parameters
    ----------
    input_path : Path
        The file; see `AudioFile`.
    output_folder : Path
        Made if it is not there. The files appear when all are complete, or not at all.
    backend : CoreBackend
        Runs the core.
    plan : ChunkPlan
        Must fit the core's segment length.
    options : FileOptions
        Which files are written, and how.
    progress : Progress, optional
        Told of each segment.
    name : str, optional
        Name of the folder of stems; by default `song_name`.

    Raises
    ------
    AudioError
        If the input cannot be read whole, or changes meanwhile.
    OutputError
        If an output cannot be written, or would replace the input.
    ChunkPlanError, UnknownStemError, SeparationError, BackendError
        As `separate_track`.
    """
    audio = AudioFile(input_path)
    track = FileTrack(audio, downmix=options.downmix)
    target = output_folder / (name or song_name(input_path))
    files = stem_files(target, backend.contract.sources, options)
    _require_other_than_input(input_path, files.values())
    require_usable(target, [file.name for file in files.values()])
    state = InputState.of(input_path)
    pieces = separate_track(track, backend, plan, stems=options.separated_stems, progress=progress)
    with staged_folder(target) as staging:
        with ExitStack() as open_files:
            writers = [
                open_files.enter_context(
                    audio_writer(
                        staging / file.name,
                        options.audio_format,
                        audio.sample_rate_hz,
                        audio.frames,
                        options.effective_clip_mode,
                        audio.tags,
                    )
                )
                for file in files.values()
            ]
            _write_stems(pieces, audio, writers if options.two_stems is None else [_with_rest(writers, track)])
        state.require_unchanged()
        write_record(staging, _making(state, backend, plan, options))
    return SeparatedFile(target, files, audio.sample_rate_hz, audio.frames)


def is_separated(
    input_path: Path, target: Path, backend: CoreBackend, plan: ChunkPlan, options: FileOptions = FileOptions()
) -> bool:
    """Tell whether `separate_file` has made a folder of stems from the same input in the same way, and all is there.

    Parameters
    ----------
    input_path, backend, plan, options
        As for `separate_file`.
    target : Path
        The folder of stems.

    Raises
    ------
    AudioError
        If the input cannot be read.
    UnknownStemError, SeparationError
        As `output_names`.
    """
    files = stem_files(target, backend.contract.sources, options)
    made = _making(InputState.of(input_path), backend, plan, options)
    return was_made(target, made, [file.name for file in files.values()])


def stem_files(target: Path, sources: Sequence[str], options: FileOptions) -> dict[str, Path]:
    """Each file of a folder of stems by its stem; see `output_names`."""
    return {name: target / f"{name}.{options.audio_format.container}" for name in output_names(sources, options)}


def _making(state: InputState, backend: CoreBackend, plan: ChunkPlan, options: FileOptions) -> dict[str, Any]:
    explicit = replace(options, clip_mode=options.effective_clip_mode)
    return making(state, backend.identity, plan, explicit)


def song_name(input_path: Path) -> str:
    """Return the name of the folder for an input's stems: the file's name without its suffix."""
    return input_path.name if input_path.stem.strip(".") == "" else input_path.stem


def output_names(sources: Sequence[str], options: FileOptions) -> list[str]:
    """Return the names of the files that are written, without suffix.

    Raises
    ------
    UnknownStemError
        If a stem is asked for that is not among `sources`, or twice.
    SeparationError
        If a source's name could not be a file's.
    """
    stems = [sources[index] for index in stem_indices(sources, options.separated_stems)]
    for stem in stems:
        if not _STEM_NAME.fullmatch(stem):
            raise SeparationError(f"the model calls a stem {stem!r}, which cannot be the name of a file")
    return stems if options.two_stems is None else [options.two_stems, f"no_{options.two_stems}"]


def _require_other_than_input(input_path: Path, files: Iterable[Path]) -> None:
    for file in files:
        if file.exists() and file.samefile(input_path):
            raise OutputError(f"{input_path}: the stem {file.name} would replace the input; choose another folder")


def _write_stems(pieces: Iterator[Tensor], audio: AudioFile, writers: Sequence[WriteBlock]) -> None:
    """Bring pieces ``[stems, 2, n]`` to the input's rate and hand each stem to its writer."""
    resamplers = [StreamResampler(SAMPLE_RATE_HZ, audio.sample_rate_hz, AUDIO_CHANNELS, audio.frames) for _ in writers]
    for piece in pieces:
        for stem, resampler, write in zip(piece, resamplers, writers, strict=True):
            write(resampler.push(stem))
    for resampler, write in zip(resamplers, writers, strict=True):
        write(resampler.finish())


def _with_rest(writers: Sequence[WriteBlock], track: FileTrack) -> WriteBlock:
    """Make of two writers one that writes a stem to the first and the mix less the stem to the second."""
    write_stem, write_rest = writers
    mix = ForwardReader(track.stereo_blocks())
    position = 0

    def write(stem: Tensor) -> None:
        nonlocal position
        following = position + stem.shape[1]
        write_stem(stem)
        write_rest(mix.read(position, following) - stem)
        position = following

    return write
