"""How far a package's stored weights are from the float32 package's."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.mil import Program
from htdemucs_coreml.mil.analysis import operation_multiply_adds
from htdemucs_coreml.mil.program import Constant
from htdemucs_coreml.mil.steps import unpacked_constants
from htdemucs_coreml.mil.tensor_types import Array

_PARAMETER = "weight"


def weights_snr_db(program: Program, reference: Program) -> float:
    """SNR in dB of the weights of a program's operations with multiply-adds.

    The noise of each tensor is taken relative to its own energy, and the mean is over all elements: tensors of large
    weights would decide otherwise.

    Parameters
    ----------
    program, reference : Program
        What is judged, and the float32 program of the same model and segment.

    Returns
    -------
    float
        Infinite where all are equal.

    Raises
    ------
    FidelityError
        If the two do not have the same operations with weights.
    """
    judged, truth = dict(_weights(program)), dict(_weights(reference))
    if judged.keys() != truth.keys():
        raise FidelityError(f"{program.path} has other operations with weights than {reference.path}")
    noise, elements = 0.0, 0
    for name, constant in truth.items():
        expected, actual = _array(constant), _array(judged[name])
        if expected.shape != actual.shape:
            raise FidelityError(f"the weights of {name} have another shape in {program.path} than in {reference.path}")
        energy = float(np.square(expected).sum())
        if energy:
            noise += expected.size * float(np.square(actual - expected).sum()) / energy
        elements += expected.size
    return -10 * math.log10(noise / elements) if noise else math.inf


def _weights(program: Program) -> Iterator[tuple[str, Constant]]:
    unpacked: Mapping[str, Constant] = unpacked_constants(program.main)
    for operation in program.main.operations:
        arguments = operation.inputs.get(_PARAMETER, ())
        if not arguments or not operation_multiply_adds(operation):
            continue
        (argument,) = arguments
        constant = argument if isinstance(argument, Constant) else unpacked.get(argument.name)
        if constant is not None:
            yield operation.name, constant


def _array(constant: Constant) -> Array:
    return constant.array().astype(np.float64)
