"""Each operation computes what coremltools' documentation says, in float32 and in float16."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from coremltools.converters.mil import Builder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.mil import Interpreter, read_package
from htdemucs_coreml.mil.operations import known_operations
from mil.cases import CASES, Case
from mil.cases.case import Array
from mil.packages import write

_FOLDED = {name for name in known_operations() if name.startswith("constexpr_")}

_examples = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def _typed(arrays: Mapping[str, Array], dtype: type[np.floating]) -> dict[str, Array]:
    return {name: a.astype(dtype) if a.dtype.kind == "f" else a for name, a in arrays.items()}


def _run(
    case: Case, dtype: type[np.floating], omit_defaults: bool, stored: type[np.floating] | None = None
) -> list[Array]:
    """Results of the operation in one type; its constants have the precision of another, if that is given."""
    inputs, constants = _typed(case.inputs, dtype), _typed(_typed(case.constants, stored or dtype), dtype)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "one.mlpackage"
        write(package, lambda values: case.operation({**values, **constants}), inputs, omit_defaults)
        results = Interpreter(read_package(package)).predict(inputs)
    return list(results.values())


@pytest.mark.parametrize("name", sorted(set(known_operations()) - _FOLDED))
@given(data=st.data())
@_examples
def test_float32_results_agree_with_the_definition(name: str, data: st.DataObject) -> None:
    case = CASES[name](data.draw)
    results = _run(case, np.float32, data.draw(st.booleans(), label="omit defaults"))
    exact = {key: value.astype(np.float64) for key, value in {**case.inputs, **case.constants}.items()}
    expected = case.reference(exact)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(results) == len(expected)
    for result, reference in zip(results, expected, strict=True):
        assert result.shape == np.shape(reference)
        np.testing.assert_allclose(result, reference, rtol=2e-5, atol=2e-5, equal_nan=False)


@pytest.mark.parametrize("name", sorted(set(known_operations()) - _FOLDED))
@given(data=st.data())
@_examples
def test_float16_results_are_float32_results_rounded_once(name: str, data: st.DataObject) -> None:
    case = CASES[name](data.draw)
    omit_defaults = data.draw(st.booleans(), label="omit defaults")
    wide = _run(case, np.float32, False, stored=np.float16)
    narrow = _run(case, np.float16, omit_defaults)
    for exact, rounded in zip(wide, narrow, strict=True):
        np.testing.assert_array_equal(rounded, exact.astype(rounded.dtype))


def test_a_default_has_the_precision_that_it_would_be_stored_in() -> None:
    """The default epsilon of ``log``, 1e-45, is 0 in float16."""
    case = Case({"x": np.zeros(1, np.float32)}, lambda v: Builder.log(x=v["x"]), lambda v: np.log(v["x"]))
    (wide,) = _run(case, np.float32, omit_defaults=True)
    (narrow,) = _run(case, np.float16, omit_defaults=True)
    np.testing.assert_allclose(wide, np.log(1e-45), rtol=5e-3)
    np.testing.assert_array_equal(narrow, [-np.inf])
