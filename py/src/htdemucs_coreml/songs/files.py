"""Songs as folders of FLAC files, with a manifest.

The FLAC files are of the encoder's lowest level, whose predictors are fixed and chosen by sums of whole numbers: the
same bytes with every processor, if libFLAC is of the same version. The manifest also holds digests of the samples
alone, which depend on no encoder.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import soundfile

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.files import atomic_directory, sha256_file
from htdemucs_coreml.songs.recipe import Recipe, SongError, recipe_text
from htdemucs_coreml.songs.rendering import Integers, Song, render_song

MANIFEST = "manifest.json"
MIX = "mix"
MANIFEST_VERSION = 1
_FASTEST = 0.0


def write_songs(recipes: Iterable[Recipe], folder: Path) -> None:
    """Render songs into a folder: for each a folder with the mix, six stems and the recipe, and one manifest.

    Parameters
    ----------
    recipes : iterable of Recipe
        Of different names.
    folder : Path
        Appears whole or not at all; one that is there, unless it is empty, is an error.

    Raises
    ------
    SongError
        If a recipe asks for what there is not, two have one name, or a file cannot be encoded.
    OSError
        If the folder cannot be written.
    """
    with atomic_directory(folder, replace=False) as partial:
        songs: dict[str, Any] = {}
        for recipe in recipes:
            if recipe.name in songs:
                raise SongError(f"two recipes are called {recipe.name}; rename one")
            songs[recipe.name] = _write_song(recipe, render_song(recipe), partial / recipe.name)
        manifest = {"version": MANIFEST_VERSION, "sample_rate_hz": SAMPLE_RATE_HZ, "songs": songs}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def samples_sha256(samples: Integers) -> str:
    """Digest of samples as little-endian int16, left and right in turn: what a WAV file's data would be."""
    return hashlib.sha256(samples.T.astype("<i2").tobytes()).hexdigest()


def _write_song(recipe: Recipe, song: Song, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    (folder / "recipe.toml").write_text(recipe_text(recipe), encoding="utf-8")
    files = {}
    for name, samples in {MIX: song.mix, **song.stems}.items():
        path = folder / f"{name}.flac"
        _write_flac(path, samples)
        files[path.name] = {"sha256": sha256_file(path), "samples_sha256": samples_sha256(samples)}
    return {
        "clipped_samples": song.clipped_samples,
        "files": files,
        "genre": recipe.genre,
        "samples": recipe.samples,
        "set": recipe.set,
    }


def _write_flac(path: Path, samples: Integers) -> None:
    try:
        soundfile.write(path, samples.T, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16", compression_level=_FASTEST)
    except soundfile.LibsndfileError as error:
        raise SongError(f"{path.name} could not be written as FLAC: {error.error_string}; is the disk full?") from error
