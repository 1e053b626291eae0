"""What a case is, and how its shapes and values are drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
_T = TypeVar("_T")


class Draw(Protocol):
    """What hypothesis gives tests to draw examples with."""

    def __call__(self, strategy: st.SearchStrategy[_T], /) -> _T:
        """Draw an example of a strategy."""
        ...


@dataclass(frozen=True)
class Case:
    """One operation on values.

    Attributes
    ----------
    inputs : Mapping of str to Array
        Arguments that the program computes with; floating-point ones are given in the type under test.
    operation : Callable
        Makes the operation with coremltools' builder from the arguments and constants by name.
    reference : Callable
        The same from arrays, in float64.
    constants : Mapping of str to Array or NumPy scalar
        Arguments that are stored in the package.
    """

    inputs: Mapping[str, Array]
    operation: Callable[[Mapping[str, Any]], Any]
    reference: Callable[[Mapping[str, Any]], Any]
    constants: Mapping[str, Any] = field(default_factory=dict)


CaseMaker = Callable[[Draw], Case]


def draw_shape(draw: Draw, minimum_rank: int = 1, maximum_rank: int = 4, maximum_size: int = 5) -> Shape:
    """Shape of at least `minimum_rank` axes."""
    sizes = st.integers(1, maximum_size)
    return tuple(draw(st.lists(sizes, min_size=minimum_rank, max_size=maximum_rank)))


def draw_array(draw: Draw, shape: Shape, low: float = -3.0, high: float = 3.0) -> Array:
    """Array of float32 values that float16 has too, so that both types can be given the same."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return generator.uniform(low, high, shape).astype(np.float16).astype(np.float32)


def draw_integers(draw: Draw, shape: Shape, low: int, high: int) -> Array:
    """Array of int32 values from `low` to `high`."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return generator.integers(low, high, shape, dtype=np.int32, endpoint=True)


def draw_axes(draw: Draw, rank: int, minimum: int = 1) -> list[int]:
    """Different axes of a tensor in any order, some counted from the end."""
    axes = draw(st.lists(st.integers(0, rank - 1), unique=True, min_size=minimum, max_size=rank))
    return [axis - rank if draw(st.booleans()) else axis for axis in axes]


def draw_axis(draw: Draw, rank: int) -> int:
    """One axis of a tensor, counted from either end."""
    return draw(st.integers(-rank, rank - 1))
