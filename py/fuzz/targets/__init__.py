"""Every target. A new parser gets one here, and a folder of inputs in ``corpus``."""

from collections.abc import Mapping

from fuzz.target import Target
from fuzz.targets import (
    audio,
    goldens,
    legacy_weights,
    mil_packages,
    mil_serving,
    packages,
    plans,
    stem_records,
    weights,
)

TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (weights, legacy_weights, mil_packages, mil_serving, packages, goldens, audio, stem_records, plans)
    for target in module.TARGETS
}
