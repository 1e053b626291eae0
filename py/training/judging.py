"""Scores of trained weights on songs of genres, seeds and recipes that no training has seen."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.pipeline.chunk_plan import chunk_plan_for
from htdemucs_coreml.pipeline.separation import separate
from htdemucs_coreml.songs.corpus import corpus
from htdemucs_coreml.songs.invention import invent
from htdemucs_coreml.songs.quality import SongScore, score_song
from htdemucs_coreml.songs.recipe import Recipe
from htdemucs_coreml.songs.rendering import render
from htdemucs_coreml.weights.checkpoint import load_checkpoint
from training.baselines import ideal_mask_stems, mix_as_stems
from training.configuration import HELD_OUT_GENRES, Configuration
from training.export import entry_of
from training.scores import StemMedians, medians

FIRST_HELD_OUT_SEED = 3 << 38
"""Seeds of invented songs that models are judged on: above those of validation, below those of the corpus."""

MODEL, MIX, IDEAL_MASK = "model", "mix", "ideal mask"
_FULL_SCALE = np.float32(32768)
_SET = "held-out"
_SEGMENT_SAMPLES = SAMPLE_RATE_HZ * 39 // 5


def held_out_recipes(songs_per_genre: int, seconds: float) -> Iterator[Recipe]:
    """The corpus' songs that are held out, then invented ones of the genres that no run trains on."""
    yield from (recipe for recipe in corpus().values() if recipe.set == _SET)
    for at, genre in itertools.product(range(songs_per_genre), sorted(HELD_OUT_GENRES)):
        yield invent(FIRST_HELD_OUT_SEED + at, genre=genre, seconds=seconds, name=f"{genre}-{at}")


def judge(
    weights: Path, configuration: Configuration, recipes: Iterator[Recipe], say: Callable[[str], None]
) -> dict[str, list[SongScore]]:
    """Separate songs as the project's pipeline does, in PyTorch, and score them.

    Parameters
    ----------
    weights : Path
        A safetensors file that `training.export` wrote.
    configuration : Configuration
        Of its run.
    recipes : iterator of Recipe
        The songs.
    say : callable
        Is given the name of each song that is done.

    Returns
    -------
    dict of str to list of SongScore
        A score for each song, of the ``model``, the ``mix`` in every stem's place, and an ``ideal mask``.

    Raises
    ------
    WeightsError
        If the file does not fit the configuration's architecture.
    """
    entry = entry_of(configuration)
    plan = chunk_plan_for(_SEGMENT_SAMPLES)
    backend = TorchBackend(load_checkpoint(weights, entry), plan.segment_samples)
    scores: dict[str, list[SongScore]] = {MODEL: [], MIX: [], IDEAL_MASK: []}
    for recipe in recipes:
        rendered = render(recipe)
        truth = torch.from_numpy(np.stack([rendered[name] for name in entry.sources]).astype(np.float32) / _FULL_SCALE)
        estimates = {
            MODEL: separate(truth.sum(dim=0), backend, plan),
            MIX: mix_as_stems(truth),
            IDEAL_MASK: ideal_mask_stems(truth),
        }
        for kind, stems in estimates.items():
            scores[kind].append(score_song(recipe.name, _named(entry.sources, stems), _named(entry.sources, truth)))
        say(f"{recipe.name}: {truth.shape[2] / SAMPLE_RATE_HZ:.0f} s")
    return scores


def table(scores: Mapping[str, list[SongScore]]) -> str:
    """Medians over songs as a Markdown table: SDR and SI-SDR in dB, and the worst leakage of silent stems."""
    rows = {kind: medians(songs) for kind, songs in scores.items()}
    lines = [
        "| stem | " + " | ".join(f"{kind}: SDR | SI-SDR | leakage" for kind in rows) + " |",
        "| --- |" + " ---: |" * (3 * len(rows)),
    ]
    for stem in rows[MODEL]:
        cells = itertools.chain.from_iterable(_cells(row[stem]) for row in rows.values())
        lines.append(f"| {stem} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cells(stem: StemMedians) -> list[str]:
    return ["—" if value is None else f"{value:.1f}" for value in (stem.sdr_db, stem.si_sdr_db, stem.leakage_db)]


def _named(sources: tuple[str, ...], stems: Tensor) -> dict[str, Tensor]:
    return dict(zip(sources, stems, strict=True))
