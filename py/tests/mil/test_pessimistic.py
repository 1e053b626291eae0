"""A machine with float16 accumulators, held to a definition that is written out term by term."""

import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from coremltools.converters.mil import Builder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htdemucs_coreml.convert.packaging import convert_checkpoint
from htdemucs_coreml.mil import Interpreter, Program, read_package
from htdemucs_coreml.mil.float16_sums import SUMMING
from htdemucs_coreml.mil.operations import known_operations
from htdemucs_coreml.mil.pessimistic import PessimisticInterpreter
from htdemucs_coreml.mil.tensor_types import Array
from htdemucs_coreml.precision.plans import shipped_plans
from htdemucs_coreml.weights.checkpoint import Checkpoint
from mil.cases import CASES
from mil.packages import Values, write
from small_model import SHORT_VARIANT

half = np.float16
single = np.float32


def random(*shape: int, scale: float = 1.0, seed: int = 1) -> Array:
    values: Array = (scale * np.random.default_rng(seed).standard_normal(shape)).astype(half)
    return values


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Array]:
    numbers = itertools.count()

    def execute(body: Callable[[Values], object], **inputs: Array) -> Array:
        package = write(tmp_path / f"{next(numbers)}.mlpackage", body, inputs)
        (result,) = PessimisticInterpreter(read_package(package)).predict(inputs).values()
        return result

    return execute


def added(terms: Iterable[float], block: int = 64, bias: Array | None = None) -> np.float16:
    """Sum of terms in float32, rounded after each block of them."""
    listed = list(terms)
    total: np.float16 | None = None
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(listed), block):
            partial_sum = half(math.fsum(listed[start : start + block]))
            total = partial_sum if total is None else half(single(total) + single(partial_sum))
        assert total is not None
        return total if bias is None else half(single(total) + single(bias))


def products(x: Array, y: Array) -> list[float]:
    return [float(a) * float(b) for a, b in zip(x.ravel(), y.ravel(), strict=True)]


def assert_close(actual: Array, expected: Array) -> None:
    """Equal, but where a partial sum in float32 lay within its own error of a rounding boundary of float16."""
    assert actual.dtype == half
    assert np.mean(actual == expected) >= 0.99
    np.testing.assert_allclose(actual.astype(single), expected.astype(single), rtol=3e-3, atol=3e-3)


def test_a_linear_operation_rounds_after_every_64_input_channels(run: Callable[..., Array]) -> None:
    x, weight, bias = random(5, 200), random(7, 200, seed=2), random(7, seed=3)
    actual = run(lambda values: Builder.linear(x=values["x"], weight=weight, bias=bias), x=x)
    expected = [[added(products(row, column), bias=b) for column, b in zip(weight, bias, strict=True)] for row in x]
    assert_close(actual, np.array(expected))
    assert not np.array_equal(actual, (x.astype(float) @ weight.T.astype(float) + bias).astype(half))


def test_a_matrix_product_rounds_after_every_64_terms(run: Callable[..., Array]) -> None:
    x, y = random(2, 5, 150), random(2, 150, 3, seed=2)
    actual = run(lambda values: Builder.matmul(x=values["x"], y=values["y"]), x=x, y=y)
    expected = [[[added(products(row, column)) for column in b.T] for row in a] for a, b in zip(x, y, strict=True)]
    assert_close(actual, np.array(expected))


def test_a_convolution_rounds_after_as_many_channels_as_make_64_products(run: Callable[..., Array]) -> None:
    x, weight, bias = random(1, 50, 12), random(4, 50, 3, seed=2), random(4, seed=3)
    actual = run(lambda values: Builder.conv(x=values["x"], weight=weight, bias=bias, pad_type="valid"), x=x)
    expected = [
        [added(products(x[0, :, t : t + 3], kernel), block=63, bias=b) for t in range(10)]
        for kernel, b in zip(weight, bias, strict=True)
    ]
    assert_close(actual[0], np.array(expected))


def test_a_transposed_convolution_rounds_after_as_many_channels_as_reach_an_element(run: Callable[..., Array]) -> None:
    x, weight = random(1, 70, 6), random(70, 3, 8, seed=2)
    actual = run(lambda values: Builder.conv_transpose(x=values["x"], weight=weight, strides=[4]), x=x)
    # Channel by channel, the positions that reach an element; 32 channels of 2 positions.
    expected = [
        [
            added(
                float(x[0, channel, position]) * float(weight[channel, output, t - 4 * position])
                for channel in range(70)
                for position in (t // 4 - 1, t // 4)
            )
            for t in range(4, 24)
        ]
        for output in range(3)
    ]
    assert_close(actual[0, :, 4:24], np.array(expected))


@pytest.mark.parametrize(("name", "convolve"), [("conv", Builder.conv), ("conv_transpose", Builder.conv_transpose)])
def test_groups_of_channels_are_summed_apart(run: Callable[..., Array], name: str, convolve: object) -> None:
    x, weight = random(1, 140, 6), random(140, 70, 1, seed=2)
    outputs = weight[:2] if name == "conv" else weight[:, :1]
    grouped = run(lambda values: convolve(x=values["x"], weight=outputs, groups=2), x=x)  # type: ignore[operator]
    for group, channels in enumerate((slice(70), slice(70, None))):
        kernel = weight[group] if name == "conv" else weight[channels, 0]
        expected = [added(products(x[0, channels, t], kernel[:, 0] if kernel.ndim == 2 else kernel)) for t in range(6)]
        assert_close(grouped[0, group], np.array(expected))


def test_a_mean_rounds_its_sum_after_every_64_elements(run: Callable[..., Array]) -> None:
    x = random(3, 100, 7) + half(1)
    actual = run(lambda values: Builder.reduce_mean(x=values["x"], axes=[1, 2]), x=x)
    assert_close(actual, np.array([half(single(added(row.ravel())) / single(700)) for row in x]))


def test_a_norm_and_a_softmax_round_after_every_step(run: Callable[..., Array]) -> None:
    x = random(4, 300, scale=3)
    norm = run(lambda values: Builder.layer_norm(x=values["x"], axes=[1], epsilon=half(1e-5)), x=x)
    softmax = run(lambda values: Builder.softmax(x=values["x"], axis=1), x=x)
    for row, normalised, probabilities in zip(x, norm, softmax, strict=True):
        centred = row - half(single(added(row)) / single(300))
        variance = half(single(added(products(centred, centred))) / single(300))
        root = half(1 / np.sqrt(single(variance + half(1e-5))))
        assert_close(normalised, centred * root)
        exponentials = np.exp((row - row.max()).astype(single)).astype(half)
        assert_close(probabilities, exponentials / added(exponentials))


def test_an_attention_rounds_scores_softmax_and_result(run: Callable[..., Array]) -> None:
    query, key, value = random(1, 3, 48, scale=4), random(1, 90, 48, seed=2, scale=4), random(1, 90, 5, seed=3)
    actual = run(
        lambda values: Builder.scaled_dot_product_attention(query=values["q"], key=values["k"], value=values["v"]),
        q=query,
        k=key,
        v=value,
    )
    for row, result in zip(query[0], actual[0], strict=True):
        raw = np.array([added(products(row, other)) for other in key[0]])
        scores = (raw.astype(single) / single(math.sqrt(48))).astype(half)
        exponentials = np.exp((scores - scores.max()).astype(single)).astype(half)
        probabilities = exponentials / added(exponentials)
        np.testing.assert_allclose(
            result.astype(single),
            np.array([added(products(probabilities, column)) for column in value[0].T]).astype(single),
            rtol=5e-3,
            atol=5e-3,
        )


def test_only_the_chosen_operations_sum_in_float16(tmp_path: Path) -> None:
    weight, inputs = random(30, 200, seed=2), {"x": random(5, 200)}
    path = write(
        tmp_path / "two.mlpackage",
        lambda values: Builder.softmax(x=Builder.linear(x=values["x"], weight=weight), axis=1),
        inputs,
    )
    program = read_package(path)

    def values_of(machine: Interpreter) -> dict[str, Array]:
        found: dict[str, Array] = {}
        machine.predict(
            inputs, lambda one, values: found.update({one.type: np.array(values[one.outputs[0].name].numpy())})
        )
        return found

    exact, none, all_sums = map(
        values_of,
        (Interpreter(program), PessimisticInterpreter(program, lambda _: False), PessimisticInterpreter(program)),
    )
    chosen = PessimisticInterpreter(program, lambda operation: operation.type == "linear")
    linear_alone = values_of(chosen)
    assert [operation.type for operation in chosen.summing] == ["linear"]
    assert exact.keys() == {"linear", "softmax"}
    for kind in exact:
        np.testing.assert_array_equal(none[kind], exact[kind])
    np.testing.assert_array_equal(linear_alone["linear"], all_sums["linear"])
    assert not np.array_equal(linear_alone["linear"], exact["linear"])
    assert not np.array_equal(linear_alone["softmax"], all_sums["softmax"])


def test_what_a_float16_accumulator_cannot_hold_becomes_infinite(run: Callable[..., Array]) -> None:
    x = np.full((1, 4096), 16, half)
    x[0, 2048:] *= -1
    (total,) = run(lambda values: Builder.reduce_sum(x=values["x"], axes=[1]), x=np.abs(x))
    assert total == np.inf
    (mean,) = run(lambda values: Builder.reduce_mean(x=values["x"], axes=[1]), x=np.abs(x))
    assert mean == np.inf
    # The variance is 256, but the sum of squares is 2^20: every result is zero.
    assert not run(lambda values: Builder.layer_norm(x=values["x"], axes=[1]), x=x).any()


_examples = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", sorted(SUMMING))
@given(data=st.data())
@_examples
def test_every_summing_operation_takes_what_the_interpreter_takes(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    case = CASES[name](data.draw)
    inputs, constants = (
        {key: array.astype(half) if array.dtype.kind == "f" else array for key, array in arrays.items()}
        for arrays in (case.inputs, case.constants)
    )
    package = tmp_path_factory.mktemp("case") / "one.mlpackage"
    write(package, lambda values: case.operation({**values, **constants}), inputs)
    expected, actual = (
        list(machine(read_package(package)).predict(inputs).values())
        for machine in (Interpreter, PessimisticInterpreter)
    )
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        # Rounding after every step costs a norm of few and nearly equal elements much.
        if not name.endswith("norm"):
            np.testing.assert_allclose(one.astype(single), other.astype(single), rtol=0.03, atol=0.03)


def test_operations_that_sum_are_known() -> None:
    sums = ("reduce_sum", "reduce_mean", "reduce_l", "norm", "conv", "linear", "matmul", "attention", "softmax")
    others = {"batch_norm", "linear_activation"}
    summing = {name for name in known_operations() if any(part in name for part in sums)} - others
    assert summing <= SUMMING.keys()


def noise(program: Program) -> dict[str, Array]:
    generator = np.random.default_rng(1)
    return {value.name: generator.standard_normal(value.type.shape, single) for value in program.main.inputs}


def test_a_float32_program_is_executed_as_the_interpreter_does(small_package: Path) -> None:
    program = read_package(small_package)
    inputs = {
        value.name: np.random.default_rng(1).standard_normal(value.type.shape, single) for value in program.main.inputs
    }
    expected = Interpreter(program).predict(inputs)
    for name, output in PessimisticInterpreter(program).predict(inputs).items():
        np.testing.assert_array_equal(output, expected[name])


def test_a_float16_program_is_executed_less_exactly(small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "float16.mlpackage"
    convert_checkpoint(small_checkpoint, SHORT_VARIANT.with_plan(shipped_plans()["float16"]), path)
    program = read_package(path)
    inputs = {
        value.name: np.random.default_rng(1).standard_normal(value.type.shape, single) for value in program.main.inputs
    }
    expected, actual = (machine(program).predict(inputs) for machine in (Interpreter, PessimisticInterpreter))
    assert expected.keys() == actual.keys()
    assert not any(np.array_equal(actual[name], expected[name]) for name in expected)
