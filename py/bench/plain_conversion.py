"""``plain_conversion.py OUT.mlpackage``: the fixture's core, converted and saved as coremltools' documentation says."""

import sys
import warnings
from contextlib import redirect_stderr
from io import StringIO

import torch

from htdemucs_coreml.convert.variants import find_variant
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.core.rewrites import rewritten
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.weights.source import load_weights


def main(output: str) -> None:
    """Convert and save, without progress bars."""
    # Imported once the project's package has said that coremltools' warnings on import are no news.
    import coremltools

    checkpoint = load_weights(find_model("fixture"), None)
    network = build_network(checkpoint.entry, checkpoint.tensors)
    core = rewritten(extract_inner_model(network, find_variant("float32").segment_samples))
    with warnings.catch_warnings(), redirect_stderr(StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        examples = tuple(torch.zeros(shape) for shape in core.contract.input_shapes.values())
        coremltools.convert(
            torch.jit.trace(core, examples, check_trace=False),
            inputs=[coremltools.TensorType(name, shape) for name, shape in core.contract.input_shapes.items()],
            outputs=[coremltools.TensorType(name) for name in core.contract.output_shapes],
            compute_precision=coremltools.precision.FLOAT32,
            minimum_deployment_target=coremltools.target.iOS18,
            skip_model_load=True,
        ).save(output)


if __name__ == "__main__":
    main(sys.argv[1])
