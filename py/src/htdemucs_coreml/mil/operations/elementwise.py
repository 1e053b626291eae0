"""Operations on single elements, with NumPy's broadcasting: arithmetic, comparison, activation, selection."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.mil.operations.registry import ParameterError, operation
from htdemucs_coreml.mil.tensor_types import DataType

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "acos": torch.acos,
    "asin": torch.asin,
    "atan": torch.atan,
    "atanh": torch.atanh,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "floor": torch.floor,
    "relu": torch.relu,
    "relu6": functional.relu6,
    "round": torch.round,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": functional.silu,
    "sin": torch.sin,
    "sinh": torch.sinh,
    "softsign": functional.softsign,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tan": torch.tan,
    "tanh": torch.tanh,
}

_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "floor_div": torch.floor_divide,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "pow": torch.pow,
    "real_div": torch.div,
    "sub": torch.sub,
    "equal": torch.eq,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "not_equal": torch.ne,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
}

_CAST_TYPES = {
    "bool": DataType.BOOL,
    "fp16": DataType.FLOAT16,
    "fp32": DataType.FLOAT32,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "uint8": DataType.UINT8,
    "uint16": DataType.UINT16,
}


def _register_unary(name: str, function: Callable[[Tensor], Tensor]) -> None:
    @operation(name=name)
    def unary(x: Tensor) -> Tensor:
        return function(x)


def _register_binary(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    @operation(name=name, uniform=True)
    def binary(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)


for _name, _function in _UNARY.items():
    _register_unary(_name, _function)
for _name, _pair_function in _BINARY.items():
    _register_binary(_name, _pair_function)


@operation()
def logical_not(x: Tensor) -> Tensor:
    """Invert truth values."""
    return torch.logical_not(x)


@operation()
def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """Natural logarithm of ``x + epsilon``."""
    return torch.log(x + epsilon)


@operation()
def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Compute ``1 / sqrt(x + epsilon)``."""
    return torch.rsqrt(x + epsilon)


@operation()
def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    """Compute ``1 / (x + epsilon)``."""
    return torch.reciprocal(x + epsilon)


@operation()
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Limit to the range from `alpha` to `beta`."""
    return torch.clamp(x, alpha, beta)


@operation()
def gelu(x: Tensor, mode: Literal["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"] = "EXACT") -> Tensor:
    """Gaussian error linear unit, exact or in one of two approximations."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return functional.gelu(x, approximate="none" if mode == "EXACT" else "tanh")


@operation()
def elu(x: Tensor, alpha: float) -> Tensor:
    """Compute x where it is positive, else ``alpha * (exp(x) - 1)``."""
    return functional.elu(x, alpha)


@operation()
def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """Compute x where it is positive, else ``alpha * x``."""
    return functional.leaky_relu(x, alpha)


@operation()
def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Compute ``alpha * x + beta``."""
    return x * alpha + beta


@operation()
def softplus(x: Tensor) -> Tensor:
    """Compute ``log(1 + exp(x))``."""
    return torch.logaddexp(x, torch.zeros((), dtype=x.dtype, device=x.device))


@operation()
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Compute ``exp(x)`` divided by its sum along `axis`."""
    return torch.softmax(x, axis)


@operation(computes=False)
def cast(x: Tensor, dtype: str) -> Tensor:
    """Convert to another element type; fractions are cut off towards zero for integers."""
    if dtype not in _CAST_TYPES:
        raise ParameterError("dtype", f"is '{dtype}'; supported are {', '.join(_CAST_TYPES)}")
    return x.to(_CAST_TYPES[dtype].torch)


@operation(computes=False)
def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Take `a` where `cond` is true, else `b`."""
    return torch.where(cond, a, b)


@operation(computes=False)
def identity(x: Tensor) -> Tensor:
    """Return x."""
    return x
