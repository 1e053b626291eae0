"""Run as ``python -m htdemucs_coreml.songs render|list|invent``."""

import sys
from pathlib import Path

import click

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.songs.corpus import corpus
from htdemucs_coreml.songs.files import write_songs
from htdemucs_coreml.songs.invention import genre_names, invent
from htdemucs_coreml.songs.recipe import MAXIMUM_BYTES, Recipe, SongError, parse_recipe, recipe_text

_genre = click.option("--genre", type=click.Choice(genre_names()), help="Of what is invented; by seed if left out.")
_seconds = click.option("--seconds", type=float, help="About how long an invented song is to be; by seed if left out.")


@click.group()
def main() -> None:
    """Compose and render songs with true stems."""


@main.command("list")
def list_songs() -> None:
    """List the corpus: name, set, genre, length."""
    for recipe in corpus().values():
        minutes, seconds = divmod(round(recipe.samples / SAMPLE_RATE_HZ), 60)
        click.echo(f"{recipe.name:16} {recipe.set or '':12} {recipe.genre:12} {minutes}:{seconds:02}")


@main.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder, to be made.")
@click.option("--song", "names", multiple=True, metavar="NAME", help="Of the corpus; all if nothing is named.")
@click.option("--seed", "seeds", multiple=True, type=click.IntRange(0), help="Invent a song instead; may be repeated.")
@click.option("--recipe", "files", multiple=True, type=click.Path(path_type=Path), help="A recipe of your own.")
@_genre
@_seconds
def render(
    output: Path,
    names: tuple[str, ...],
    seeds: tuple[int, ...],
    files: tuple[Path, ...],
    genre: str | None,
    seconds: float | None,
) -> None:
    """Write songs as FLAC: the mix, six stems, the recipe; and a manifest of digests."""
    recipes = [*_named(names), *(invent(seed, genre=genre, seconds=seconds) for seed in seeds), *map(_read, files)]
    chosen = recipes or list(corpus().values())
    with click.progressbar(chosen, label="songs", file=sys.stderr) as progress:
        write_songs(progress, output)
    click.echo(f"{len(chosen)} songs  {output}")


@main.command("invent")
@click.argument("seed", type=click.IntRange(0))
@_genre
@_seconds
def invent_recipe(seed: int, genre: str | None, seconds: float | None) -> None:
    """Print the recipe that a seed gives, to be changed and rendered."""
    click.echo(recipe_text(invent(seed, genre=genre, seconds=seconds)), nl=False)


def _named(names: tuple[str, ...]) -> list[Recipe]:
    known = corpus()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SongError(f"the corpus has no song {unknown[0]}; take one of {', '.join(known)}")
    return [known[name] for name in names]


def _read(path: Path) -> Recipe:
    with path.open("rb") as stream:
        content = stream.read(MAXIMUM_BYTES + 1)
    try:
        return parse_recipe(content.decode(), str(path))
    except UnicodeDecodeError as error:
        raise SongError(f"{path} is not UTF-8: {error}; mend it") from None


if __name__ == "__main__":
    try:
        main()
    except (HTDemucsCoreMLError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
