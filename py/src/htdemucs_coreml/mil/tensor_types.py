"""Types of values: element types of MIL and tensors of fixed shape."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]


class DataType(Enum):
    """Element types; each member's value is its name in ``MIL.proto`` (enum ``DataType``)."""

    BOOL = "BOOL"
    STRING = "STRING"
    FLOAT16 = "FLOAT16"
    FLOAT32 = "FLOAT32"
    INT4 = "INT4"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    UINT1 = "UINT1"
    UINT2 = "UINT2"
    UINT3 = "UINT3"
    UINT4 = "UINT4"
    UINT6 = "UINT6"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"

    @property
    def bits(self) -> int:
        """Stored bits of one element; 0 for strings, which have no fixed size."""
        return _BITS[self]

    @property
    def is_float(self) -> bool:
        """Whether elements are floating-point numbers."""
        return self in (DataType.FLOAT16, DataType.FLOAT32)

    @property
    def is_signed(self) -> bool:
        """Whether negative elements exist."""
        return self.is_float or self.value.startswith("INT")

    @property
    def numpy(self) -> np.dtype[Any]:
        """Type of unpacked elements; types narrower than a byte are held one element to a byte."""
        return _NUMPY[self]

    @property
    def torch(self) -> torch.dtype:
        """Type of unpacked elements, as `numpy`."""
        return _TORCH[self]


_BITS = {
    DataType.BOOL: 8,
    DataType.STRING: 0,
    DataType.FLOAT16: 16,
    DataType.FLOAT32: 32,
    **{member: int(member.value.removeprefix("U")[3:]) for member in DataType if "INT" in member.value},
}

_NUMPY: dict[DataType, np.dtype[Any]] = {
    DataType.BOOL: np.dtype(np.bool_),
    DataType.STRING: np.dtype(np.object_),
    DataType.FLOAT16: np.dtype("<f2"),
    DataType.FLOAT32: np.dtype("<f4"),
    **{
        member: np.dtype(f"<{'i' if member.is_signed else 'u'}{max(1, _BITS[member] // 8)}")
        for member in DataType
        if "INT" in member.value
    },
}

_TORCH = {
    DataType.BOOL: torch.bool,
    DataType.FLOAT16: torch.float16,
    DataType.FLOAT32: torch.float32,
    DataType.INT16: torch.int16,
    DataType.INT32: torch.int32,
    DataType.UINT16: torch.uint16,
    DataType.UINT32: torch.uint32,
    DataType.INT4: torch.int8,
    DataType.INT8: torch.int8,
    DataType.UINT1: torch.uint8,
    DataType.UINT2: torch.uint8,
    DataType.UINT3: torch.uint8,
    DataType.UINT4: torch.uint8,
    DataType.UINT6: torch.uint8,
    DataType.UINT8: torch.uint8,
}


@dataclass(frozen=True)
class TensorType:
    """Element type and fixed shape; a scalar has the empty shape."""

    dtype: DataType
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Stored size, elements narrower than a byte packed."""
        return -(-self.elements * self.dtype.bits // 8)

    def __str__(self) -> str:
        return f"{self.dtype.value.lower()}[{', '.join(map(str, self.shape))}]"
