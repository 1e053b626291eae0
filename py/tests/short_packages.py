"""Write packages with short segments, for tests in Swift: ``python short_packages.py FOLDER``.

``small.mlpackage`` holds the small model of the tests, ``fixture.mlpackage`` the full-size fixture, whose stems the
goldens have.
"""

import sys
from pathlib import Path

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.weights.source import load_weights
from small_model import SHORT_VARIANT, SMALL_ENTRY

if __name__ == "__main__":
    (_, folder) = sys.argv
    for name, entry in {"small": SMALL_ENTRY, "fixture": find_model("fixture")}.items():
        convert_checkpoint(load_weights(entry, None), SHORT_VARIANT, Path(folder) / f"{name}.mlpackage")
