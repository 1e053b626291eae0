"""How much error each weight of a core adds to the stems when it alone is compressed.

An error d in a weight changes the stems y by J d, for small d, and ``|J d|^2`` is the mean of ``(v^T J d)^2`` over
vectors v of random signs. ``v^T J`` is one backward pass for all weights at once, so that a few dozen passes give the
error of every weight in every form, where replacing each weight by each form would take thousands of runs.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from htdemucs_coreml.core.contract import CoreOutputs
from htdemucs_coreml.core.inner import InnerHTDemucs
from htdemucs_coreml.metrics import QUIET_STEM_DB
from htdemucs_coreml.segment import core_inputs, stem_waveforms

PASSES = 24


def noise_of(
    core: InnerHTDemucs, errors: Mapping[str, Mapping[str, Tensor]], mix: Tensor, seed: int, passes: int = PASSES
) -> dict[str, dict[str, float]]:
    """Estimate the error of every weight in every form on one signal.

    Parameters
    ----------
    core : InnerHTDemucs
        The network; its parameters ask for gradients meanwhile.
    errors : Mapping of str to Mapping of str to Tensor
        What compression adds to a module's weight, by the module's name and the form's.
    mix : Tensor [2, samples]
        The signal.
    seed : int
        Of the random signs.
    passes : int
        How many vectors are drawn: the estimate's own error is about ``1.4 / sqrt(passes)`` of it.

    Returns
    -------
    dict of str to dict of str to float
        Energy of the error relative to a stem's, the mean over all stems, by the module and the form.
    """
    weights = [_weight(core.get_submodule(name)) for name in errors]
    for weight in weights:
        weight.requires_grad_(True)
    stems = stem_waveforms(CoreOutputs(*core(**core_inputs(mix))))
    # A quiet stem counts as one that is 30 dB below the mix, as it does when packages are scored.
    energies = stems.detach().square().sum(dim=(1, 2)).clamp(min=float(mix.square().sum()) * 10 ** (QUIET_STEM_DB / 10))
    scaled = stems / (len(stems) * energies).sqrt()[:, None, None]
    generator = torch.Generator().manual_seed(seed)
    found = {name: dict.fromkeys(forms, 0.0) for name, forms in errors.items()}
    for number in range(passes):
        signs = torch.randint(0, 2, scaled.shape, generator=generator).float() * 2 - 1
        gradients = torch.autograd.grad(scaled, weights, signs, retain_graph=number < passes - 1)
        for (name, forms), gradient in zip(errors.items(), gradients, strict=True):
            for form, error in forms.items():
                found[name][form] += float((gradient.double() * error).sum()) ** 2 / passes
    for weight in weights:
        weight.requires_grad_(False)
    return found


def _weight(module: nn.Module) -> nn.Parameter:
    return module.get_parameter("weight")
