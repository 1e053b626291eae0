"""Print the digest of every stem of some short songs, as a process of its own would."""

import json

from htdemucs_coreml.songs.files import samples_sha256
from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.rendering import render

RECIPES = {"rock": 2, "jazz": 4, "electronic": 9}


def digests() -> dict[str, dict[str, str]]:
    """By genre and stem."""
    return {
        genre: {stem: samples_sha256(samples) for stem, samples in render(invent(seed, genre=genre, seconds=5)).items()}
        for genre, seed in RECIPES.items()
    }


if __name__ == "__main__":
    print(json.dumps(digests()))  # noqa: T201
