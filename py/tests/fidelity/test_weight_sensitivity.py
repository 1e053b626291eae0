import math

import pytest
import torch
from demucs.htdemucs import HTDemucs

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.core.rewrites import rewritten
from htdemucs_coreml.fidelity.probes import probe
from htdemucs_coreml.fidelity.weight_sensitivity import noise_of
from htdemucs_coreml.segment import core_inputs, stem_waveforms
from small_model import SHORT_SEGMENT_SAMPLES

BLOCKS = ("frequency_transformer_0.linear1", "time_decoder_3.conv_tr", "frequency_encoder_1.rewrite")


@pytest.mark.parametrize("size", [1e-3, 1e-2])
def test_the_estimate_is_the_error_that_a_changed_weight_makes(small_network: HTDemucs, size: float) -> None:
    core = rewritten(extract_inner_model(small_network, SHORT_SEGMENT_SAMPLES))
    mix = torch.from_numpy(probe("music", SHORT_SEGMENT_SAMPLES, 3))
    generator = torch.Generator().manual_seed(0)
    errors = {
        name: {"form": size * torch.randn(core.get_submodule(name).get_parameter("weight").shape, generator=generator)}
        for name in BLOCKS
    }
    estimated = noise_of(core, errors, mix, seed=1, passes=100)
    with torch.no_grad():
        before = stem_waveforms(CoreOutputs(*core(**core_inputs(mix))))
        for name in BLOCKS:
            weight = core.get_submodule(name).get_parameter("weight")
            weight.add_(errors[name]["form"])
            changed = stem_waveforms(CoreOutputs(*core(**core_inputs(mix))))
            weight.sub_(errors[name]["form"])
            energies = before.square().sum(dim=(1, 2)).clamp(min=float(mix.square().sum()) / 1000)
            actual = float(((changed - before).square().sum(dim=(1, 2)) / energies).mean())
            assert 10 * math.log10(estimated[name]["form"] / actual) == pytest.approx(0, abs=2)
