"""Judging uses held-out songs alone, and its baselines and medians are what they are said to be."""

import dataclasses
import math
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import pytest
import torch

from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.songs.quality import SongScore, score_song
from training.baselines import ideal_mask_stems, mix_as_stems
from training.configuration import HELD_OUT_GENRES
from training.export import export_weights
from training.judging import FIRST_HELD_OUT_SEED, IDEAL_MASK, MIX, MODEL, held_out_recipes, judge, table
from training.learning_curve import write_learning_curve
from training.records import append_record, read_records
from training.scores import mean_sdr_db, medians
from training.state import new_network
from training_runs import SMALL_RUN


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_only_held_out_songs_are_judged_on() -> None:
    recipes = list(held_out_recipes(2, 4.0))
    named, invented = recipes[:4], recipes[4:]
    assert {recipe.set for recipe in named} == {"held-out"}
    assert len(invented) == 2 * len(HELD_OUT_GENRES)
    assert {recipe.genre for recipe in recipes} == HELD_OUT_GENRES
    assert all(recipe.seed >= FIRST_HELD_OUT_SEED for recipe in recipes)
    assert len({(recipe.genre, recipe.seed) for recipe in recipes}) == len(recipes)


def test_the_ideal_mask_separates_what_lies_apart_and_shares_out_the_mix() -> None:
    time = torch.arange(44100) / 44100
    tones = torch.stack([torch.sin(2 * math.pi * pitch * time).expand(2, -1) * 0.1 for pitch in (220.0, 3000.0)])
    for stem, tone in zip(ideal_mask_stems(tones), tones, strict=True):
        assert snr_db(stem, tone) > 30
    truth = noise(3, 2, 30000)
    torch.testing.assert_close(ideal_mask_stems(truth).sum(dim=0), truth.sum(dim=0), atol=1e-5, rtol=1e-4)
    assert torch.equal(ideal_mask_stems(torch.zeros(2, 2, 8000)), torch.zeros(2, 2, 8000))


def test_doing_nothing_scores_what_a_stem_is_of_the_mix() -> None:
    truth = noise(2, 2, 44100)
    truth[1] *= 2
    estimate = mix_as_stems(truth)
    assert snr_db(estimate[0], truth[0]) == pytest.approx(-6.02, abs=0.1)
    assert snr_db(estimate[1], truth[1]) == pytest.approx(6.02, abs=0.1)


def test_medians_are_over_songs_in_which_a_stem_sounds_and_leakage_over_the_others() -> None:
    def song(name: str, error: float, is_silent: bool = False) -> SongScore:
        truth = {"drums": noise(2, 44100), "bass": noise(2, 44100, seed=2) * (not is_silent)}
        estimates = {stem: signal * (1 + error) + (0.001 if is_silent else 0) for stem, signal in truth.items()}
        return score_song(name, estimates, truth)

    scores = [song("a", 0.1), song("b", 0.01), song("c", 0.001, is_silent=True)]
    found = medians(scores)
    assert found["bass"].sdr_db == pytest.approx((20 + 40) / 2, abs=0.01)
    assert found["drums"].sdr_db == pytest.approx(40, abs=0.2)
    assert found["bass"].leakage_db == pytest.approx(-40, abs=0.5)
    assert found["drums"].leakage_db is None
    drums = found["drums"].sdr_db
    assert drums is not None
    assert mean_sdr_db(found) == pytest.approx((30 + drums) / 2, abs=0.01)


def test_weights_are_judged_through_the_pipeline_beside_the_mix_and_the_ideal_mask(tmp_path: Path) -> None:
    configuration = dataclasses.replace(
        SMALL_RUN, architecture=MappingProxyType({**SMALL_RUN.architecture, "segment": Fraction(39, 5)})
    )
    weights = tmp_path / "small.safetensors"
    export_weights(weights, new_network(configuration).state_dict(), configuration)
    names: list[str] = []
    recipes = (recipe for recipe in held_out_recipes(1, 4.0) if recipe.name == "soul-0")
    scores = judge(weights, configuration, recipes, names.append)
    assert scores.keys() == {MODEL, MIX, IDEAL_MASK}
    assert len(names) == 1 and "soul-0" in names[0]
    found = {kind: medians(songs)["drums"].sdr_db for kind, songs in scores.items()}
    mix, ideal = found[MIX], found[IDEAL_MASK]
    assert mix is not None and ideal is not None
    assert ideal > mix + 5
    text = table(scores)
    assert all(f"| {stem} |" in text for stem in configuration.sources)


def test_a_learning_curve_is_drawn_from_a_log(tmp_path: Path) -> None:
    stems = {"drums": {"sdr_db": 1.0, "si_sdr_db": 1.0, "leakage_db": None}}
    for step in (1, 2):
        append_record(tmp_path, {"kind": "progress", "step": step, "loss": 0.5})
        append_record(tmp_path, {"kind": "validation", "step": step, "mean_sdr_db": 1.0, "stems": stems})
    write_learning_curve(tmp_path / "curve.svg", read_records(tmp_path / "log.jsonl"))
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")
