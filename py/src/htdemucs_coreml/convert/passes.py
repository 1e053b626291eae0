"""coremltools' passes over the program: those alone that change the core's.

coremltools' own pipeline makes some ninety passes, each with a check of the whole program. For a core, all but these
find nothing to do: they look for what it does not have (quantised operations, images, states, loops), or for patterns
that its rewrites leave nowhere. Tests compare with the whole pipeline.
"""

from collections.abc import Sequence

from coremltools import PassPipeline

PASSES = (
    "common::cast_optimization",
    "common::noop_elimination",
    "common::const_elimination",
    "common::add_conv_transpose_output_shape",
    "common::const_deduplication",
    "common::replace_stack_reshape",
    "common::reduce_transposes",
    "common::remove_redundant_ops",
    "common::topological_reorder",
    "common::dead_code_elimination",
)

PASSES_AFTER_NAMING = (
    "mil_backend::adjust_io_to_supported_types",
    "mil_backend::insert_image_preprocessing_ops",
    "mil_backend::fuse_activation_silu",
    "mil_backend::fuse_pow2_sqrt",
    "mil_backend::sanitize_name_strings",
    "nn_backend::handle_unused_inputs",
)

LARGEST_FOLDED_SIZE = 8
"""Elements of the largest result that is computed during conversion and stored in place of its operations.

Shapes are that small. Positional embeddings stay operations on small tables.
"""


def before_naming(passes: Sequence[str]) -> PassPipeline:
    """The pipeline of some passes, `PASSES` or more of them, that leaves tables as they are."""
    pipeline = PassPipeline(list(passes))
    pipeline.set_options("common::const_elimination", {"skip_const_by_size": str(LARGEST_FOLDED_SIZE)})
    return pipeline
