"""Convert the small model in every variant and print the sha256 of every file: ``python digests_of_variants.py``.

One JSON object: variant, path in its package, digest. Segments are short; what else a variant is made of counts.
"""

import json
import sys
import tempfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from graphs import each_graph_converted_once
from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.convert.variants import variants
from htdemucs_coreml.plan_files import SHORT_SUFFIX
from htdemucs_coreml.weights.source import load_weights
from small_model import SHORT_SEGMENT_SAMPLES, SMALL_ENTRY


def main() -> None:
    """Convert and print."""
    # Under a name of its own: plans that were derived for the fixture ask it for blocks that the small model lacks.
    weights = load_weights(SMALL_ENTRY, None)
    checkpoint = replace(weights, entry=replace(weights.entry, name="small"))
    digests: dict[str, dict[str, str]] = {}
    with each_graph_converted_once(), tempfile.TemporaryDirectory() as folder:
        for name, variant in variants().items():
            if name.endswith(SHORT_SUFFIX):
                continue
            package = Path(folder) / f"{name}.mlpackage"
            convert_checkpoint(checkpoint, replace(variant, segment_samples=SHORT_SEGMENT_SAMPLES), package)
            digests[name] = {
                str(file.relative_to(package)): sha256(file.read_bytes()).hexdigest()
                for file in sorted(package.rglob("*"))
                if file.is_file()
            }
    json.dump(digests, sys.stdout)


if __name__ == "__main__":
    main()
