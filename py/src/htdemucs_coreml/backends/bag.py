"""Several cores run as one: each stem is a weighted mean of the members' stems.

Source of the rule: facebookresearch/demucs 4.1.0, ``demucs/apply.py``, ``apply_model`` of a ``BagOfModels``. There the
stems of whole tracks are combined. A track's stems are linear in a core's outputs, so combining those of each segment
gives the same.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from htdemucs_coreml.backends.base import BackendError, CheckedBackend, CoreBackend
from htdemucs_coreml.core.contract import CoreContract, CoreOutputs


class BagError(BackendError):
    """Models cannot be combined, or their weights do not fit them."""


class BagBackend(CheckedBackend):
    """Runs its members one after the other on each segment and combines their stems.

    The members stay loaded: loading one anew for each segment takes longer than running it, and running a whole track
    through one after the other would keep all stems of the track, or decode it as often as there are members. What
    takes most memory, the values inside of a network, is there for one member at a time.

    Parameters
    ----------
    members : Mapping[str, CoreBackend]
        The cores by their names, which errors mention. All have the same stems and segment.
    weights : Mapping[str, Mapping[str, float]]
        For each stem that the bag gives, in order, how much each member counts in it, relative to the others.

    Raises
    ------
    BagError
        If the members differ in stems or segment, or weights name what is not there, are negative, not finite or all
        zero for a stem.
    """

    def __init__(self, members: Mapping[str, CoreBackend], weights: Mapping[str, Mapping[str, float]]) -> None:
        member_contract = _common_contract(members)
        self._contract = CoreContract(tuple(weights), member_contract.segment_samples)
        self._shares = {stem: _shares(stem, weights[stem], members, member_contract) for stem in weights}
        # A member that counts in no stem is not run.
        self._members = {
            name: core for name, core in members.items() if any(shares.get(name) for shares in self._shares.values())
        }
        self._positions = {stem: member_contract.sources.index(stem) for stem in weights}

    @property
    def contract(self) -> CoreContract:
        """The stems that have weights, and the members' segment."""
        return self._contract

    @property
    def identity(self) -> str:
        """The members that are run with their identities, and what each counts in each stem."""
        members = "; ".join(f"{name}: {core.identity}" for name, core in self._members.items())
        return f"bag of {members}; {self._shares}"

    def _run(self, inputs: Mapping[str, Tensor]) -> CoreOutputs:
        combined = CoreOutputs(*(torch.zeros(shape) for shape in self._contract.output_shapes.values()))
        for name, member in self._members.items():
            outputs = member.predict(**inputs)
            for index, stem in enumerate(self._contract.sources):
                share = self._shares[stem].get(name, 0.0)
                # Zero times what a member gives where it does not count could be NaN.
                if share > 0:
                    for total, output in zip(combined, outputs, strict=True):
                        total[:, index].add_(output[:, self._positions[stem]], alpha=share)
        return combined


def _common_contract(members: Mapping[str, CoreBackend]) -> CoreContract:
    if not members:
        raise BagError("a bag needs at least one model")
    (first, core), *others = members.items()
    for name, other in others:
        if other.contract.sources != core.contract.sources:
            raise BagError(
                f"{name} separates {', '.join(other.contract.sources)}, but {first} separates "
                f"{', '.join(core.contract.sources)}; only models of the same stems can be combined"
            )
        if other.contract.segment_samples != core.contract.segment_samples:
            raise BagError(
                f"{name} takes segments of {other.contract.segment_samples} samples, but {first} of "
                f"{core.contract.segment_samples}; take packages of one variant"
            )
    return core.contract


def _shares(
    stem: str, weights: Mapping[str, float], members: Mapping[str, CoreBackend], contract: CoreContract
) -> dict[str, float]:
    if stem not in contract.sources:
        raise BagError(f"a bag has weights for {stem}, but its models separate {', '.join(contract.sources)}")
    unknown = weights.keys() - members.keys()
    if unknown:
        raise BagError(f"a bag has weights for {', '.join(sorted(unknown))}, which is not among its models")
    total = sum(weights.values())
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights.values()) or total <= 0:
        raise BagError(f"the weights for {stem} are {dict(weights)}; they have to be 0 or more, and one of them more")
    return {name: weight / total for name, weight in weights.items()}
