"""Which files ``separate`` takes, of files and folders that were given, and where the stems of each go."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.pipeline.file_separation import song_name
from htdemucs_coreml.pipeline.stem_record import recorded_stems

_PLAIN = (".aif", ".aifc", ".aiff", ".au", ".bwf", ".caf", ".rf64", ".snd", ".w64", ".wav", ".wave")
_COMPRESSED = (".aac", ".alac", ".flac", ".m4a", ".m4b", ".mp3", ".oga", ".ogg", ".opus")
AUDIO_SUFFIXES = frozenset(_PLAIN + _COMPRESSED)
"""By which audio files in a folder are told from others, in small letters."""

_LISTED = 5


@dataclass(frozen=True)
class Song:
    """An input file.

    Attributes
    ----------
    path : Path
        As it was given, or found in a folder that was given.
    subfolder : Path
        Of the output folder: where the song lies in the folder that was given.
    name : str
        Of the folder of stems.
    """

    path: Path
    subfolder: Path
    name: str

    @property
    def place(self) -> Path:
        """The folder of stems, below the output folder."""
        return self.subfolder / self.name


@dataclass
class Songs:
    """What was found.

    Attributes
    ----------
    songs : list of Song
        In order: inputs as they were given, the content of folders by name.
    failures : list of (Path, Exception)
        Inputs, and folders in them, that cannot be taken.
    left_out : Counter
        How many items of folders were left out, by the reason.
    examples : list of Path
        The first of them, but for hidden ones.
    """

    songs: list[Song] = field(default_factory=list)
    failures: list[tuple[Path, Exception]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: list[Path] = field(default_factory=list)

    @property
    def note(self) -> str | None:
        """What is told of what was left out; None where nothing was."""
        if not self.left_out:
            return None
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left_out.items()))
        shown = ", ".join(printable(str(path)) for path in self.examples[:_LISTED])
        more = ", …" if len(self.examples) > _LISTED else ""
        return f"left out of the folders: {counts}" + (f" ({shown}{more})" if shown else "")


def find_songs(inputs: Sequence[Path], output_folder: Path) -> Songs:
    """Find the audio files among inputs, and in the folders among them, however deep.

    A file that was given is taken whatever its name. In a folder, those are taken whose names end as audio files' do
    (`AUDIO_SUFFIXES`), and left out: what is hidden (its name begins with a dot), links to folders, the output folder,
    and stems that this program has written.

    Raises
    ------
    click.UsageError
        If two songs would have the same folder of stems.
    """
    found = Songs()
    for path in inputs:
        if _is_folder(path):
            before = len(found.songs) + len(found.failures)
            found.songs += _named(_walk(path, output_folder, found))
            if len(found.songs) + len(found.failures) == before:
                found.failures.append((path, AudioError(f"{path}: there are no audio files in this folder")))
        else:
            found.songs.append(Song(path, Path(), song_name(path)))
    found.songs = _without_repetitions(found.songs)
    return found


def _walk(top: Path, output_folder: Path, found: Songs) -> Iterator[tuple[Path, Path]]:
    """Yield each audio file below a folder, and the folder that it lies in relative to `top`."""
    pending = [Path()]
    while pending:
        relative = pending.pop()
        folder = top / relative
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            found.failures.append((folder, AudioError(f"{folder}: the folder cannot be read: {error.strerror}")))
            continue
        stems = recorded_stems(folder)
        folders = []
        for entry in entries:
            reason = _reason_to_leave_out(entry, folder / entry.name, output_folder, stems)
            if reason is not None:
                found.left_out[reason] += 1
                if reason != _HIDDEN:
                    found.examples.append(folder / entry.name)
            elif _is_folder(entry):
                folders.append(relative / entry.name)
            else:
                yield folder / entry.name, relative
        # The last is taken first: sub-folders in order, each with all that is in it, after the folder's own files.
        pending += reversed(folders)


_HIDDEN = "hidden"


def _reason_to_leave_out(entry: os.DirEntry[str], path: Path, output_folder: Path, stems: Sequence[str]) -> str | None:
    if entry.name.startswith("."):
        return _HIDDEN
    if _is_folder(entry):
        if entry.is_symlink():
            return "linked folder"
        return "output folder" if _is_same(path, output_folder) else None
    if entry.name in stems:
        return "stem of an earlier run"
    return None if path.suffix.lower() in AUDIO_SUFFIXES else "of other suffixes"


def _named(files: Iterable[tuple[Path, Path]]) -> Iterator[Song]:
    """Name folders of stems; files of one folder that differ in their suffixes only keep these."""
    files = list(files)
    shared = Counter((subfolder, _compared(song_name(path))) for path, subfolder in files)
    for path, subfolder in files:
        is_alone = shared[subfolder, _compared(song_name(path))] == 1
        yield Song(path, subfolder, song_name(path) if is_alone else path.name)


def _without_repetitions(songs: Sequence[Song]) -> list[Song]:
    """Take a song that was found twice once, and refuse different ones for one folder of stems."""
    by_place: dict[str, Song] = {}
    for song in songs:
        other = by_place.setdefault(_compared(str(song.place)), song)
        if other is not song and not _is_same(song.path, other.path):
            both = printable(f"{other.path} and {song.path} would have the same folder of stems, {song.place}")
            raise click.UsageError(f"{both}: separate them into different output folders")
    return list(by_place.values())


def _compared(name: str) -> str:
    """A name as file systems compare it that do not distinguish case, or how characters are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_folder(path: Path | os.DirEntry[str]) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # Whoever reads it as a file says why that cannot be told.
        return False


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
