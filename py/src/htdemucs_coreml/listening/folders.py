"""Folders of stems as a page's description."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.core.contract import AUDIO_CHANNELS, SAMPLE_RATE_HZ
from htdemucs_coreml.listening.description import Samples, Song, Stem
from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.listening.excerpts import telling_start
from htdemucs_coreml.songs.quality import SongScore, score_song

MIX = "mix"
SUFFIXES = (".wav", ".flac")
_BLOCK_FRAMES = 1 << 18
_STEPS_A_SECOND = 2


@dataclass(frozen=True)
class SongFiles:
    """A song's files: references and, by each result's name, what was separated; all by the stem's name."""

    name: str
    mix: Path | None
    references: Mapping[str, Path]
    results: Mapping[str, Mapping[str, Path]]


def find_songs(references: Path, results: Mapping[str, Path]) -> list[SongFiles]:
    """Find the songs of a folder of references, by name, and their stems in each result.

    Raises
    ------
    ListeningError
        If there are none, or a result lacks one.
    """
    songs = []
    for folder in _folders(references):
        files = _audio_files(folder)
        mix = files.pop(MIX, None)
        if files:
            found = {name: _result_files(name, result / folder.name, files) for name, result in results.items()}
            songs.append(SongFiles(folder.name, mix, files, found))
    if not songs:
        raise ListeningError(
            f"{references}: there are no folders of stems, {' or '.join(SUFFIXES)}, in it; give a folder that has "
            "one for each song"
        )
    return songs


def read_song(files: SongFiles, seconds: float, known: Mapping[str, SongScore]) -> tuple[Song, dict[str, SongScore]]:
    """Read a song, choose the excerpt, and score what has no known score.

    Parameters
    ----------
    files : SongFiles
        Where it is.
    seconds : float
        Length of the excerpt; a shorter song is taken whole.
    known : mapping of str to SongScore
        By the result's name.

    Returns
    -------
    tuple of Song and dict of str to SongScore
        The latter by the result's name.

    Raises
    ------
    AudioError
        If a file cannot be read.
    ListeningError
        If a file is not stereo at 44.1 kHz or is not as long as the others, or a known score lacks a stem.
    """
    references = {stem: _read(path) for stem, path in files.references.items()}
    length = next(iter(references.values())).shape[1]
    for stem, path in files.references.items():
        _require_length(path, references[stem], length)

    samples = min(length, round(seconds * SAMPLE_RATE_HZ))
    start = telling_start(references.values(), samples, SAMPLE_RATE_HZ // _STEPS_A_SECOND)
    excerpt = slice(start, start + samples)

    scores: dict[str, SongScore] = {}
    heard: dict[str, dict[str, Samples]] = {stem: {} for stem in references}
    for name, paths in files.results.items():
        estimates = {stem: _read(path) for stem, path in paths.items()}
        for stem, path in paths.items():
            _require_length(path, estimates[stem], length)
            # A copy: a view would keep all of the song.
            heard[stem][name] = estimates[stem][:, excerpt].copy()
        score = known[name] if name in known else _score(files.name, estimates, references)
        if missing := references.keys() - score.stems.keys():
            raise ListeningError(f"the scores of {name} lack {files.name}, {min(missing)}; leave --scores out")
        scores[name] = SongScore(files.name, {stem: score.stems[stem] for stem in references})

    if files.mix is None:
        mix = np.stack([reference[:, excerpt] for reference in references.values()]).sum(axis=0)
    else:
        whole_mix = _read(files.mix)
        _require_length(files.mix, whole_mix, length)
        mix = whole_mix[:, excerpt].copy()
    stems = tuple(Stem(stem, references[stem][:, excerpt].copy(), heard[stem]) for stem in references)
    return Song(files.name, length / SAMPLE_RATE_HZ, start / SAMPLE_RATE_HZ, mix, stems), scores


def _score(song: str, estimates: Mapping[str, Samples], references: Mapping[str, Samples]) -> SongScore:
    return score_song(
        song,
        {stem: torch.from_numpy(estimates[stem]) for stem in references},
        {stem: torch.from_numpy(samples) for stem, samples in references.items()},
    )


def _read(path: Path) -> Samples:
    file = AudioFile(path)
    if file.sample_rate_hz != SAMPLE_RATE_HZ or file.channels != AUDIO_CHANNELS:
        raise ListeningError(
            f"{path} has {file.channels} channels at {file.sample_rate_hz} Hz; a page takes {AUDIO_CHANNELS} at "
            f"{SAMPLE_RATE_HZ} Hz"
        )
    samples: Samples = torch.cat(list(file.blocks(_BLOCK_FRAMES)), dim=1).numpy()
    return samples


def _require_length(path: Path, samples: Samples, length: int) -> None:
    if samples.shape[1] != length:
        raise ListeningError(
            f"{path} has {samples.shape[1]} samples and the song's first stem {length}; give stems of one song"
        )


def _result_files(result: str, folder: Path, references: Mapping[str, Path]) -> dict[str, Path]:
    """The stems of a song, in its folder or, as `separate` writes them for a file called ``mix``, in ``mix`` there."""
    for place in (folder, folder / MIX):
        files = _audio_files(place) if place.is_dir() else {}
        if files.keys() >= references.keys():
            return {stem: files[stem] for stem in references}
    raise ListeningError(
        f"{folder}: the result {result} lacks stems that the references have, which are {', '.join(references)}; "
        "separate the song into this folder, or leave it out of the references"
    )


def _audio_files(folder: Path) -> dict[str, Path]:
    """Audio files of a folder by their name without its ending, in alphabetical order."""
    files: dict[str, Path] = {}
    for name in _names(folder):
        path = folder / name
        if path.suffix.lower() in SUFFIXES and not name.startswith(".") and path.is_file():
            if path.stem in files:
                raise ListeningError(f"{folder} has both {files[path.stem].name} and {name}; remove one")
            files[path.stem] = path
    return files


def _folders(folder: Path) -> Iterator[Path]:
    for name in _names(folder):
        if not name.startswith(".") and (folder / name).is_dir():
            yield folder / name


def _names(folder: Path) -> Sequence[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise ListeningError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error
