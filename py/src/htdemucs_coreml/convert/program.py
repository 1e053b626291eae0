"""The core as an ML program: captured by PyTorch, converted by coremltools, named after its blocks."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import coremltools
import torch
from coremltools.proto import Model_pb2
from torch.jit._trace import TracerWarning

from htdemucs_coreml.convert.operation_names import name_operations
from htdemucs_coreml.core.inner import InnerHTDemucs
from htdemucs_coreml.errors import HTDemucsCoreMLError

DEPLOYMENT_TARGET = coremltools.target.iOS18


class ConversionError(HTDemucsCoreMLError):
    """The core could not be converted."""


@dataclass(frozen=True)
class ConvertedProgram:
    """An ML program before it is made canonical.

    Attributes
    ----------
    model : Model_pb2.Model
        Description and program; constants refer to `weight_bin` by offset.
    weight_bin : bytes
        The blob file that holds the large constants.
    """

    model: Model_pb2.Model
    weight_bin: bytes


def convert_core(core: InnerHTDemucs) -> ConvertedProgram:
    """Convert a core to a float32 ML program for iOS 18 and macOS 15.

    Parameters
    ----------
    core : InnerHTDemucs
        The core, usually rewritten.

    Returns
    -------
    ConvertedProgram
        With the inputs and outputs of the core's contract, float32.

    Raises
    ------
    ConversionError
        If coremltools refuses the graph or changes its inputs or outputs.
    """
    contract = core.contract
    inputs = [coremltools.TensorType(name, shape) for name, shape in contract.input_shapes.items()]
    outputs = [coremltools.TensorType(name) for name in contract.output_shapes]
    with _quiet_converter(), TemporaryDirectory() as folder:
        try:
            program = coremltools.convert(
                _captured(core),
                inputs=inputs,
                outputs=outputs,
                convert_to="milinternal",
                compute_precision=coremltools.precision.FLOAT32,
                minimum_deployment_target=DEPLOYMENT_TARGET,
            )
            name_operations(program)
            converted = coremltools.convert(
                program,
                convert_to="mlprogram",
                compute_precision=coremltools.precision.FLOAT32,
                minimum_deployment_target=DEPLOYMENT_TARGET,
                pass_pipeline=coremltools.PassPipeline.EMPTY,
                skip_model_load=True,
            )
        except (RuntimeError, ValueError) as error:
            raise ConversionError(f"coremltools cannot convert the core of this model: {error}") from error
        package = Path(folder) / "converted.mlpackage"
        converted.save(str(package))
        data = package / "Data" / "com.apple.CoreML"
        model = Model_pb2.Model.FromString((data / "model.mlmodel").read_bytes())
        return ConvertedProgram(model, (data / "weights" / "weight.bin").read_bytes())


def _captured(core: InnerHTDemucs) -> torch.jit.ScriptModule:
    examples = tuple(torch.zeros(shape) for shape in core.contract.input_shapes.values())
    with torch.no_grad():
        captured = torch.jit.trace(core, examples, check_trace=False)
    if not isinstance(captured, torch.jit.ScriptModule):
        raise ConversionError("PyTorch captured no graph of the core")
    return captured


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Silence notes about shapes that the capture fixes on purpose, and coremltools' progress bars and advice.

    What goes wrong is raised, not written to standard error.
    """
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore", TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
