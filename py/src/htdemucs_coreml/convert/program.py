"""The core as an ML program: captured by PyTorch, converted by coremltools, named after its blocks."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO

import coremltools
import numpy as np
from coremltools.converters.mil.mil import Program
from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipelineManager
from coremltools.proto import Model_pb2
from numpy.typing import NDArray
from torch.jit._trace import TracerWarning

from htdemucs_coreml.compress.plans import Block, CompressionPlan
from htdemucs_coreml.convert.capture import captured
from htdemucs_coreml.convert.compression import apply_compression
from htdemucs_coreml.convert.element_types import apply_plan
from htdemucs_coreml.convert.operation_names import name_operations
from htdemucs_coreml.convert.passes import PASSES, PASSES_AFTER_NAMING, before_naming
from htdemucs_coreml.convert.serialisation import serialised
from htdemucs_coreml.core.inner import InnerHTDemucs
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.package.weight_file import WeightFile
from htdemucs_coreml.precision.plans import FLOAT32_PLAN, Plan

DEPLOYMENT_TARGET = coremltools.target.iOS18


class ConversionError(HTDemucsCoreMLError):
    """The core could not be converted."""


@dataclass(frozen=True)
class ConvertedProgram:
    """An ML program before it is made canonical.

    Attributes
    ----------
    model : Model_pb2.Model
        Description and program; constants refer to `weights` by offset.
    weights : WeightFile
        The large constants; they share memory with the core that was converted.
    """

    model: Model_pb2.Model
    weights: WeightFile


def convert_core(
    core: InnerHTDemucs,
    plan: Plan = FLOAT32_PLAN,
    model: str | None = None,
    compression: CompressionPlan | None = None,
    moments: Mapping[Block, NDArray[np.float64]] | None = None,
) -> ConvertedProgram:
    """Convert a core to an ML program for iOS 18 and macOS 15.

    Parameters
    ----------
    core : InnerHTDemucs
        The core, usually rewritten.
    plan : Plan
        Types that its blocks compute in.
    model : str, optional
        The model's name, for plans that are for certain models only.
    compression : CompressionPlan, optional
        Forms in which its weights are stored; all as they are if left out.
    moments : Mapping of tuple of str to array, optional
        Second moments of what each block takes, for a calibrated plan.

    Returns
    -------
    ConvertedProgram
        With the inputs and outputs of the core's contract, float32.

    Raises
    ------
    ConversionError
        If coremltools refuses the graph or changes its inputs or outputs.
    PlanError, ElementTypeError
        If the plan names blocks that the core does not have, or cannot be followed.
    CompressionError
        If the compression plan does, or a weight cannot be compressed.
    """
    with _quiet_converter():
        try:
            program = _converted(core)
            name_operations(program)
            apply_plan(program, plan, model)
            if compression is not None:
                apply_compression(program, compression, model, moments)
            PassPipelineManager.apply_pipeline(program, coremltools.PassPipeline(list(PASSES_AFTER_NAMING)))
            return ConvertedProgram(*serialised(program, DEPLOYMENT_TARGET.value))
        except (RuntimeError, ValueError) as error:
            raise ConversionError(f"coremltools cannot convert the core of this model: {error}") from error


def _converted(core: InnerHTDemucs) -> Program:
    contract = core.contract
    return coremltools.convert(
        captured(core),
        inputs=[coremltools.TensorType(name, shape) for name, shape in contract.input_shapes.items()],
        outputs=[coremltools.TensorType(name) for name in contract.output_shapes],
        convert_to="milinternal",
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=DEPLOYMENT_TARGET,
        pass_pipeline=before_naming(PASSES),
    )


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Silence notes about shapes that the capture fixes on purpose, and coremltools' progress bars and advice.

    What goes wrong is raised, not written to standard error.
    """
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore", TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
