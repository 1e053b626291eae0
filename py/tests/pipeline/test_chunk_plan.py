"""Chunk plans lie where the source design and upstream put them, whatever the track's length."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from htdemucs_coreml.pipeline.chunk_plan import (
    ChunkPlan,
    ChunkPlanError,
    PlanName,
    Ramp,
    chunk_plan_for,
    demucs_plan,
    design_plan,
)

overlaps = st.floats(0, 0.95)
segment_lengths = st.integers(32, 400)
plans = st.one_of(
    st.builds(design_plan, overlaps, st.sampled_from(Ramp), segment_lengths),
    st.builds(demucs_plan, overlaps, segment_lengths),
)
track_lengths = st.integers(1, 2000)


def summed_weights(plan: ChunkPlan, track_samples: int) -> Tensor:
    total = torch.zeros(track_samples, dtype=torch.float64)
    for segment in plan.segments(track_samples):
        total[segment.start : segment.stop] += segment.weights
    return total


@given(plans, track_lengths)
def test_every_sample_has_weight(plan: ChunkPlan, track_samples: int) -> None:
    assert (summed_weights(plan, track_samples) > 0).all()


@given(plans, track_lengths)
def test_weights_are_parts_of_one_after_division(plan: ChunkPlan, track_samples: int) -> None:
    total = summed_weights(plan, track_samples)
    parts = torch.zeros(track_samples, dtype=torch.float64)
    for segment in plan.segments(track_samples):
        assert ((segment.weights >= 0) & (segment.weights <= 1)).all()
        parts[segment.start : segment.stop] += segment.weights / total[segment.start : segment.stop]
    torch.testing.assert_close(parts, torch.ones_like(parts), rtol=0, atol=1e-12)


@given(plans, track_lengths)
def test_segments_begin_at_every_stride_and_cover_the_track(plan: ChunkPlan, track_samples: int) -> None:
    segments = list(plan.segments(track_samples))
    assert [segment.index for segment in segments] == list(range(plan.segment_count(track_samples)))
    assert [segment.start for segment in segments] == list(range(0, track_samples, plan.stride_samples))
    assert max(segment.stop for segment in segments) == track_samples
    for segment in segments:
        assert segment.start < segment.stop <= track_samples
        assert segment.weights.shape == (segment.stop - segment.start,)
        assert segment.weights.dtype == torch.float32


@given(plans, track_lengths)
def test_a_segment_contributes_within_its_context_and_contexts_only_move_forward(
    plan: ChunkPlan, track_samples: int
) -> None:
    segments = list(plan.segments(track_samples))
    for segment in segments:
        assert 0 <= segment.in_context.start < segment.in_context.stop <= plan.segment_samples
        assert segment.context_start + segment.in_context.start == segment.start
    for earlier, later in itertools.pairwise(segments):
        assert earlier.context_start <= later.context_start


@given(st.builds(design_plan, st.floats(0, 0.5), st.sampled_from(Ramp), segment_lengths), track_lengths)
def test_design_blends_only_where_neighbours_share_samples(plan: ChunkPlan, track_samples: int) -> None:
    covering = torch.zeros(track_samples)
    for segment in plan.segments(track_samples):
        covering[segment.start : segment.stop] += 1
    assert (summed_weights(plan, track_samples)[covering == 1] == 1).all()


def test_design_has_the_numbers_of_the_source_design() -> None:
    plan = design_plan()
    assert (plan.segment_samples, plan.stride_samples, plan.ramp_samples) == (441_000, 352_800, 44_100)
    first, middle, last = plan.segments(352_800 * 2 + 100_000)
    ramp = torch.arange(44_100, dtype=torch.float64) / 44_100
    flat = torch.ones(352_800, dtype=torch.float64)
    rise, fall = ramp.float(), (1 - ramp).float()
    ones = flat.float()
    torch.testing.assert_close(first.weights, torch.cat([ones, torch.ones(44_100), fall]), rtol=0, atol=1e-7)
    torch.testing.assert_close(middle.weights, torch.cat([rise, ones, fall]), rtol=0, atol=1e-7)
    assert torch.equal(last.weights, torch.cat([rise, torch.ones(100_000 - 44_100)]))
    assert torch.equal(middle.weights[:44_100], rise)
    assert (last.start, last.stop, last.context_start) == (705_600, 805_600, 705_600)


def test_design_by_hand() -> None:
    plan = design_plan(overlap=0.4, segment_samples=10)
    assert [segment.weights.tolist() for segment in plan.segments(17)] == [
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5],
        [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 0.5],
        [0, 0.5, 1, 1, 1],
    ]


@pytest.mark.parametrize("track_samples", [1, 2, 440_999, 441_000])
def test_a_track_that_one_segment_of_design_holds_begins_with_weights_of_one(track_samples: int) -> None:
    first = next(design_plan().segments(track_samples))
    assert torch.equal(first.weights, torch.ones(track_samples))


@pytest.mark.parametrize(
    ("ramp", "quarter", "half"),
    [(Ramp.LINEAR, 0.25, 0.5), (Ramp.COSINE, 0.38268343, 0.70710678), (Ramp.HANN, 0.14644661, 0.5)],
)
def test_ramps_have_their_shape_and_fall_as_they_rise(ramp: Ramp, quarter: float, half: float) -> None:
    plan = design_plan(overlap=0.5, ramp=ramp, segment_samples=400)
    weights = list(plan.segments(2000))[1].weights
    assert weights[0] == 0
    assert weights[25].item() == pytest.approx(quarter)
    assert weights[50].item() == pytest.approx(half)
    assert torch.equal(weights[301:], weights[1:100].flip(0))
    assert (weights[100:301] == 1).all()


def test_demucs_has_upstreams_numbers() -> None:
    plan = demucs_plan()
    assert (plan.segment_samples, plan.stride_samples) == (343_980, 257_985)
    first, last = plan.segments(300_000)
    assert first.weights.max() == 1
    assert first.weights[0].item() == pytest.approx(1 / 171_990)
    missing = 343_980 - (300_000 - 257_985)
    assert (last.start, last.context_start) == (257_985, 257_985 - missing // 2)
    assert torch.equal(last.weights, demucs_plan()._triangle[: 300_000 - 257_985])


def test_demucs_by_hand() -> None:
    whole, cut = demucs_plan(overlap=0.25, segment_samples=8).segments(11)
    assert whole.weights.tolist() == [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]
    assert (cut.start, cut.stop, cut.context_start, cut.in_context) == (6, 11, 5, slice(1, 6))


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9])
def test_overlap_sets_the_stride_as_upstream_computes_it(overlap: float) -> None:
    assert demucs_plan(overlap).stride_samples == int((1 - overlap) * 343_980)
    assert design_plan(overlap).stride_samples == int((1 - overlap) * 441_000)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 1.5, float("nan"), float("inf"), 1 - 1e-9])
@pytest.mark.parametrize("name", PlanName)
def test_an_overlap_that_leaves_no_stride_is_refused(name: PlanName, overlap: float) -> None:
    segment_samples = {PlanName.DESIGN: 441_000, PlanName.DEMUCS: 343_980}[name]
    with pytest.raises(ChunkPlanError, match="out of range"):
        chunk_plan_for(segment_samples, name, overlap)


def test_the_plan_follows_from_the_segment_length() -> None:
    assert chunk_plan_for(441_000) == design_plan()
    assert chunk_plan_for(343_980) == demucs_plan()
    assert chunk_plan_for(343_980, overlap=0.5) == demucs_plan(0.5)


@pytest.mark.parametrize(
    ("segment_samples", "name", "remedy"),
    [
        (343_980, PlanName.DESIGN, r"441000 samples \(10 s\).*343980 samples \(7.8 s\).*mixed or.*demucs"),
        (441_000, PlanName.DEMUCS, "take a package of variant mixed-7_8s or take plan design"),
        (22_050, PlanName.DESIGN, "take a package of variant mixed"),
        (22_050, None, "variant mixed or mixed-7_8s"),
    ],
)
def test_a_plan_that_does_not_fit_names_what_would(segment_samples: int, name: PlanName | None, remedy: str) -> None:
    with pytest.raises(ChunkPlanError, match=remedy):
        chunk_plan_for(segment_samples, name)


@pytest.mark.parametrize("plan", [design_plan(), demucs_plan()], ids=["design", "demucs"])
def test_a_track_without_samples_has_no_segments(plan: ChunkPlan) -> None:
    with pytest.raises(ChunkPlanError, match="no segments"):
        next(plan.segments(0))
