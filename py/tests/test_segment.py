import pytest
import torch
from torch import Tensor

from fake_cores import BothWaysCore
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.segment import core_inputs, stem_waveforms

GAINS = {"drums": 0.5, "bass": -0.25, "vocals": 2.0}
SAMPLES = 11264


@pytest.fixture
def mix() -> Tensor:
    return 2 * torch.rand(2, SAMPLES, generator=torch.Generator().manual_seed(1)) - 1


def test_a_stem_is_the_sum_of_both_of_the_cores_branches(mix: Tensor) -> None:
    core = BothWaysCore(GAINS, SAMPLES)
    stems = stem_waveforms(core.predict(**core_inputs(mix)))
    assert stems.shape == (3, 2, SAMPLES)
    # The inverse puts nothing back in place of the Nyquist bin and the frames that were cut away.
    middle = slice(4096, -4096)
    for stem, gain in zip(stems, GAINS.values(), strict=True):
        assert snr_db(stem[:, middle], (1 + gain) * mix[:, middle]) > 30


def test_only_the_stems_that_were_asked_for_are_made_in_that_order(mix: Tensor) -> None:
    outputs = BothWaysCore(GAINS, SAMPLES).predict(**core_inputs(mix))
    assert torch.equal(stem_waveforms(outputs, [2, 0]), stem_waveforms(outputs)[[2, 0]])


def test_float64_stays_float64(mix: Tensor) -> None:
    inputs = core_inputs(mix.double())
    assert {tensor.dtype for tensor in inputs.values()} == {torch.float64}
    outputs = BothWaysCore(GAINS, SAMPLES).predict(**inputs)
    assert stem_waveforms(outputs).dtype == torch.float64
