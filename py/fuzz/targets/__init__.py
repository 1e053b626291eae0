"""Every target. A new parser gets one here, and a folder of inputs in ``corpus``."""

from collections.abc import Mapping

from fuzz.target import Target
from fuzz.targets import audio, goldens, mil_packages, mil_serving, packages, weights

TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (weights, mil_packages, mil_serving, packages, goldens, audio)
    for target in module.TARGETS
}
