"""Fixture weights: the architecture of htdemucs_6s filled from integer arithmetic, the same bytes on every platform.

Each value is a sum of 16-bit integers hashed from the parameter's name and the value's index (eight of them are nearly
normal: the Irwin-Hall distribution), scaled by an integer factor onto a grid of float16 numbers. Neither a library's
random generator nor rounding in floating point takes part.

``python -m htdemucs_coreml.weights.fixture OUT.safetensors`` writes the file.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.models.architecture import parameter_shapes
from htdemucs_coreml.models.registry import ModelEntry, find_model
from htdemucs_coreml.weights.model_file import ALLOWED_CLASS
from htdemucs_coreml.weights.safetensors_file import write_safetensors

_NEARLY_NORMAL = 8
_UNIFORM = 1
_PARTS_PER_WORD = 4
# Variance of 2 u - 0xFFFF, where u is a uniform integer of 16 bits.
_PART_VARIANCE = (0x10000**2 - 1) // 3
_PEAK_DEVIATIONS = 5
_SIGNIFICAND_LIMIT = 1 << 11
_FACTOR_BITS = 24


@dataclass(frozen=True)
class Rule:
    """How the parameters whose names match a pattern are filled.

    Attributes
    ----------
    pattern : str
        Regular expression that the whole name matches; the first rule that fits counts.
    gain : Fraction
        Standard deviation, times the square root of the fan-in where `by_fan_in`.
    mean : Fraction
        Mean of the values.
    by_fan_in : bool
        Whether the deviation is divided by the square root of the number of inputs of an output.
    gate_gain : Fraction or None
        Gain of the second half of the rows, where they feed the gate of a gated linear unit.
    parts : int
        How many hashed integers are summed: 1 gives a uniform distribution, 8 a nearly normal one.
    """

    pattern: str
    gain: Fraction
    mean: Fraction = Fraction(0)
    by_fan_in: bool = False
    gate_gain: Fraction | None = None
    parts: int = _NEARLY_NORMAL


_RULES: tuple[Rule, ...] = (
    # LayerScale: uniform between 0.1 and 1 (deviation 0.9 / sqrt(12)), so that every residual branch is heard.
    Rule(r".*\.scale", Fraction(2598, 10000), mean=Fraction(55, 100), parts=_UNIFORM),
    Rule(r".*(\.norm\w*|\.layers\.\d\.[14])\.weight", Fraction(1, 10), mean=Fraction(1)),
    Rule(r".*bias", Fraction(1, 20)),
    Rule(r"freq_emb\..*", Fraction(1, 10)),
    # Gates stay near their linear middle: saturated ones amplify rounding errors by 10 dB and more.
    Rule(r"t?encoder.*\.rewrite\.weight", Fraction(2), by_fan_in=True, gate_gain=Fraction(1, 4)),
    Rule(r"t?decoder.*\.rewrite\.weight", Fraction(3, 2), by_fan_in=True, gate_gain=Fraction(1, 4)),
    Rule(r".*\.dconv\.layers\.\d\.\d\.weight", Fraction(3, 2), by_fan_in=True),
    Rule(r"t?encoder.*\.conv\.weight", Fraction(3, 2), by_fan_in=True),
    Rule(r"t?decoder\.3\.conv_tr\.weight", Fraction(1, 2), by_fan_in=True),
    Rule(r"t?decoder.*\.conv_tr\.weight", Fraction(5, 4), by_fan_in=True),
    Rule(r"crosstransformer\..*weight", Fraction(1), by_fan_in=True),
    Rule(r"channel_\w*sampler\w*\.weight", Fraction(1), by_fan_in=True),
)


def fixture_tensors(entry: ModelEntry) -> dict[str, NDArray[np.float16]]:
    """Every parameter of the fixture model, by its name in the state dictionary."""
    return {name: _filled(name, shape) for name, shape in parameter_shapes(entry).items()}


def write_fixture_weights(path: Path, entry: ModelEntry) -> None:
    """Write the fixture weights as a file that upstream's own reader loads too.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    kwargs = {"sources": list(entry.sources), **entry.architecture}
    metadata = {
        "klass": ALLOWED_CLASS,
        "args": "[]",
        "kwargs": json.dumps(kwargs, default=_encoded, sort_keys=True),
    }
    write_safetensors(path, fixture_tensors(entry), metadata)


def _encoded(value: object) -> dict[str, object]:
    if not isinstance(value, Fraction):
        raise TypeError(f"{value!r} has no form in a weights file's metadata")
    return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}


def _filled(name: str, shape: Sequence[int]) -> NDArray[np.float16]:
    rule = next(rule for rule in _RULES if re.fullmatch(rule.pattern, name))
    fan_in = _fan_in(name, shape) if rule.by_fan_in else 1
    deviations = _deviations(name, math.prod(shape), rule.parts).reshape(shape)
    if rule.gate_gain is None:
        return _scaled(deviations, rule, rule.gain, fan_in)
    linear, gate = np.split(deviations, 2)
    return np.concatenate([_scaled(linear, rule, rule.gain, fan_in), _scaled(gate, rule, rule.gate_gain, fan_in)])


def _fan_in(name: str, shape: Sequence[int]) -> int:
    if ".conv_tr." in name:
        # Kernel 8 with stride 4: two taps of each input channel meet in an output.
        return shape[0] * 2
    return math.prod(shape[1:])


def _deviations(name: str, count: int, parts: int) -> NDArray[np.int64]:
    """Integers of mean 0 and variance ``parts * _PART_VARIANCE``, from a hash of the name and the index."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    words = -(-count * parts // _PARTS_PER_WORD)
    hashed = _splitmix64(np.arange(words, dtype=np.uint64) + np.uint64(seed)).view(np.dtype("<u2"))
    sums = hashed[: count * parts].reshape(count, parts).sum(axis=1, dtype=np.int64)
    deviations: NDArray[np.int64] = 2 * sums - parts * 0xFFFF
    return deviations


def _splitmix64(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Output of SplitMix64 for each state (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""
    with np.errstate(over="ignore"):
        z = state * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).astype("<u8")


def _scaled(deviations: NDArray[np.int64], rule: Rule, gain: Fraction, fan_in: int) -> NDArray[np.float16]:
    """Mean plus ``gain / sqrt(fan_in)`` deviations, on the finest binary grid on which float16 holds all of them."""
    largest = abs(rule.mean) + _PEAK_DEVIATIONS * gain / math.isqrt(fan_in)
    bits = 0
    while largest * (1 << (bits + 1)) < _SIGNIFICAND_LIMIT:
        bits += 1
    squared = gain**2 * (1 << (2 * (bits + _FACTOR_BITS))) / (fan_in * rule.parts * _PART_VARIANCE)
    factor = math.isqrt(squared.numerator // squared.denominator)
    steps = ((deviations * factor) >> _FACTOR_BITS) + round(rule.mean * (1 << bits))
    if np.abs(steps).max(initial=0) > _SIGNIFICAND_LIMIT:
        raise OverflowError(f"a fixture value of {np.abs(steps).max()} steps does not fit float16's significand")
    return np.ldexp(steps.astype(np.float64), -bits).astype(np.float16)


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
def main(output: Path) -> None:
    """Write the fixture weights to OUTPUT, a safetensors file."""
    write_fixture_weights(output, find_model("fixture"))


if __name__ == "__main__":
    main()
