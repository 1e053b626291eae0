"""Run as ``python -m htdemucs_coreml.listening REFERENCES RESULT… --output FILE``; docs/listening.md describes it."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
from tqdm import tqdm

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS, run
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.progress_bar import shows_bars
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.listening.description import Report
from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.listening.folders import SongFiles, find_songs, read_song
from htdemucs_coreml.listening.page import write_page
from htdemucs_coreml.listening.score_files import read_scores
from htdemucs_coreml.songs.quality import SongScore

_LONGEST_SECONDS = 30
_MOST_RESULTS = 7


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("references", type=GivenPath())
@click.argument("results", nargs=-1, required=True, metavar="[NAME=]FOLDER…")
@click.option("-o", "--output", required=True, metavar="FILE", type=GivenPath(), help="The page, replaced if there.")
@click.option(
    "--seconds",
    default=6.0,
    show_default=True,
    metavar="N",
    type=click.FloatRange(1, _LONGEST_SECONDS),
    help="Length of each song's excerpt.",
)
@click.option(
    "--megabytes",
    default=100,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 1000),
    help="How large the page may be.",
)
@click.option("--scores", "score_files", multiple=True, metavar="NAME=FILE", help="A result's scores, as JSON.")
@click.option("--title", default="Listening report", show_default=True, metavar="TEXT", help="The page's heading.")
@click.option("--note", "notes", multiple=True, metavar="TEXT", help="A paragraph under it; may be repeated.")
def command(
    references: Path,
    results: tuple[str, ...],
    output: Path,
    seconds: float,
    megabytes: int,
    score_files: tuple[str, ...],
    title: str,
    notes: tuple[str, ...],
) -> None:
    """Put stems of REFERENCES beside those of each result on one HTML page, to look at and to listen to.

    REFERENCES and results have a folder for each song, with a file for each stem.
    """
    folders = _named(results, lambda text: Path(text).resolve().name, "results")
    if len(folders) > _MOST_RESULTS:
        raise click.UsageError(f"a page takes {_MOST_RESULTS} results, of which each has a key; give fewer")
    files = _named(score_files, _unnamed, "scores")
    if unknown := files.keys() - folders.keys():
        raise click.UsageError(f"--scores names {printable(min(unknown))}, which is none of the results")
    known = {name: {score.song: score for score in read_scores(path)} for name, path in files.items()}
    _require_known(known, found := find_songs(references, folders))

    songs = []
    scores: dict[str, list[SongScore]] = {name: [] for name in folders}
    with tqdm(found, unit="song", leave=False, disable=not shows_bars(), file=sys.stderr) as progress:
        for song_files in progress:
            song, scored = read_song(
                song_files, seconds, {name: by_song[song_files.name] for name, by_song in known.items()}
            )
            songs.append(song)
            for name, score in scored.items():
                scores[name].append(score)
    report = Report(title, notes, SAMPLE_RATE_HZ, tuple(songs), {name: tuple(each) for name, each in scores.items()})
    size_bytes = write_page(report, output, megabytes * 1_000_000)
    count = "1 song" if len(songs) == 1 else f"{len(songs)} songs"
    click.echo(printable(f"{count}, {size_bytes / 1e6:.1f} MB  {output}"))


def _named(arguments: Sequence[str], name_of: Callable[[str], str], kind: str) -> dict[str, Path]:
    """Paths by their names, of arguments ``NAME=PATH`` or ``PATH``."""
    paths: dict[str, Path] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals:
            name, path = name_of(argument), argument
        if not name or not path:
            raise click.UsageError(f"{printable(argument)!r} has to be NAME=PATH")
        if name in paths:
            raise click.UsageError(f"there are two {kind} called {printable(name)}; name them NAME=PATH")
        paths[name] = Path(path)
    return paths


def _unnamed(argument: str) -> str:
    raise click.UsageError(f"--scores {printable(argument)} does not say whose they are; give NAME=FILE")


def _require_known(known: Mapping[str, Mapping[str, SongScore]], found: Sequence[SongFiles]) -> None:
    for name, by_song in known.items():
        for files in found:
            if files.name not in by_song:
                raise ListeningError(
                    f"the scores of {name} lack the song {files.name}; give them all, or leave --scores out"
                )


if __name__ == "__main__":
    run(command, prog_name="python -m htdemucs_coreml.listening")
