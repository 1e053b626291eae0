import numpy as np
import pytest

from htdemucs_coreml.fidelity.probes import PROBES, STRESS, probe

SAMPLES = 44_100


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_is_the_same_every_time_and_another_for_another_seed(name: str) -> None:
    first = probe(name, SAMPLES, 1)
    assert first.shape == (2, SAMPLES)
    assert first.dtype == np.float32
    assert 0 < np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, probe(name, SAMPLES, 1))
    assert not np.array_equal(first, probe(name, SAMPLES, 2))


def test_probes_are_what_their_names_say() -> None:
    made = {name: probe(name, SAMPLES, 3) for name in PROBES}
    assert 20 * np.log10(np.abs(made["quiet"]).max()) == pytest.approx(-60, abs=0.01)
    assert np.mean(np.abs(made["clipping"]) == 1) > 0.05
    assert sorted(channel.any() for channel in made["one_channel"]) == [False, True]
    assert (np.ptp(made["constant"], axis=1) == 0).all()
    assert PROBES[-1] == STRESS
    assert np.count_nonzero(made[STRESS]) == 2
