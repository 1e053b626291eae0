"""Songs to train on, rendered ahead into a folder by a process of its own.

Which songs a step draws from depends on its number alone, so that a run that was continued sees what one in a single go
sees. ``python -m training.song_cache FOLDER SECONDS STEM... -- SEED:GENRE...`` renders songs into the folder.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.rendering import render
from training.configuration import DataSettings, TrainingError

Stems = NDArray[np.int16]
"""A song's stems [sources, 2, samples]."""

_SONGS_PER_PROCESS = 8


class SongCache:
    """Rendered songs by their number; those that are not needed any more are removed.

    Parameters
    ----------
    folder : Path
        Where songs are kept; made if it is not there. It belongs to one run at a time.
    data : DataSettings
        Which songs.
    sources : sequence of str
        Order of the stems.
    """

    def __init__(self, folder: Path, data: DataSettings, sources: Sequence[str]) -> None:
        self._folder = folder
        self._data = data
        self._sources = tuple(sources)
        self._open: dict[int, Stems] = {}
        self._renderer: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def songs_of(self, step: int) -> list[Stems]:
        """The songs that a step draws from, read-only views of files; waits until all are rendered.

        Raises
        ------
        TrainingError
            If a song cannot be rendered.
        """
        stop = self._data.first_songs + step // self._data.steps_per_song
        wanted = range(max(0, stop - self._data.window), stop)
        for number in [number for number in self._open if number not in wanted]:
            del self._open[number]
            self._path(number).unlink(missing_ok=True)
        for number in wanted:
            if number not in self._open:
                self._open[number] = self._opened(number)
        self._render_ahead(wanted.stop)
        return [self._open[number] for number in wanted]

    def close(self) -> None:
        """Wait for songs that are being rendered."""
        self._wait()

    def _opened(self, number: int) -> Stems:
        if not self._path(number).exists():
            self._wait()
        if not self._path(number).exists():
            self._start(range(number, number + _SONGS_PER_PROCESS))
            self._wait()
        stems: Stems = np.load(self._path(number), mmap_mode="r", allow_pickle=False)
        return stems

    def _render_ahead(self, next_number: int) -> None:
        if self._renderer is not None and self._renderer.poll() is None:
            return
        self._wait()
        if not self._path(next_number + _SONGS_PER_PROCESS // 2).exists():
            self._start(range(next_number, next_number + _SONGS_PER_PROCESS))

    def _start(self, numbers: range) -> None:
        songs = [f"{seed}:{genre}" for seed, genre in map(self._song, numbers) if not self._path_of(seed).exists()]
        command = [sys.executable, "-m", __spec__.name, str(self._folder), str(self._data.song_seconds)]
        # It imports what this process imports, from where this process does.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._renderer = subprocess.Popen(  # noqa: S603
            [*command, *self._sources, "--", *songs], env=environment
        )

    def _wait(self) -> None:
        if self._renderer is None:
            return
        status, self._renderer = self._renderer.wait(), None
        if status:
            raise TrainingError(f"songs could not be rendered into {self._folder}: the process ended with {status}")

    def _song(self, number: int) -> tuple[int, str]:
        return self._data.first_seed + number, self._data.genres[number % len(self._data.genres)]

    def _path(self, number: int) -> Path:
        return self._path_of(self._song(number)[0])

    def _path_of(self, seed: int) -> Path:
        return song_path(self._folder, seed)


def song_path(folder: Path, seed: int) -> Path:
    """Where a song lies."""
    return folder / f"{seed}.npy"


def rendered_stems(seed: int, genre: str, seconds: float, sources: Sequence[str]) -> Stems:
    """Compose and render a song: int16 [sources, 2, samples] at 44,100 Hz."""
    stems = render(invent(seed, genre=genre, seconds=seconds))
    return np.stack([stems[name] for name in sources])


def main(arguments: Sequence[str]) -> None:
    """Render songs; those that are there stay."""
    folder, seconds, *rest = arguments
    sources, songs = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    for song in songs:
        seed, genre = song.split(":")
        with atomic_file(song_path(Path(folder), int(seed))) as partial:
            np.save(partial, rendered_stems(int(seed), genre, float(seconds), sources))


if __name__ == "__main__":
    main(sys.argv[1:])
