"""What was measured of packages, as data: ``docs/fidelity.toml``, from which the page is made.

Figures are rounded when they are written: levels in dB to 0.01, errors to three digits. What is read is what was
written, so a page made from the file does not depend on who measured.
"""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.sensitivity import FLOAT16_MAXIMUM
from htdemucs_coreml.files import atomic_file

_MAXIMUM_BYTES = 1 << 24
_HEAD = "# Written by `just update-fidelity`; do not edit. docs/fidelity.md says what the figures are."


@dataclass(frozen=True)
class SignalFigures:
    """How near a package comes on one signal; a figure for each stem, in the order of `Results.stems`.

    Attributes
    ----------
    snr_db : tuple of float
        Against float32 PyTorch, quiet stems against the mix; see `htdemucs_coreml.metrics.stem_snr_db`.
    float64_snr_db : tuple of float
        The same against float64 PyTorch.
    si_sdr_change_db : tuple of float
        SI-SDR against a truth, less that of float32 PyTorch; negative where the package is worse.
    mean_relative_error : tuple of float
        Mean magnitude of the error through the mean magnitude of PyTorch's stem.
    maximum_error : tuple of float
        Largest magnitude of the error of any sample; full scale is 1.
    """

    snr_db: tuple[float, ...]
    float64_snr_db: tuple[float, ...]
    si_sdr_change_db: tuple[float, ...]
    mean_relative_error: tuple[float, ...]
    maximum_error: tuple[float, ...]


@dataclass(frozen=True)
class PackageFigures:
    """What was measured of a package.

    Attributes
    ----------
    sha256 : str
        Digest of the whole package.
    bytes : int
        Size of all of its files.
    float16_share : float
        Share of the multiply-adds that are float16.
    casts : int
        Number of casts.
    largest_float16 : float
        Largest magnitude among float16 values and constants, over all signals; 0 if there are none.
    largest_float16_name : str
        Which value or constant that is.
    weights_snr_db : float
        SNR of the weights of operations with multiply-adds, against the float32 package's, every tensor scaled to the
        same energy an element.
    silence_dbfs : float
        Peak of all stems where the input is silent.
    finite : bool
        Whether all outputs are finite for inputs of a magnitude of 10,000.
    pessimistic_db : float
        Worst stem on any signal but the click, on a pessimistic machine (`htdemucs_coreml.mil.pessimistic`) and with
        segments of about a second.
    signals : Mapping of str to SignalFigures
        By the signal's name.
    """

    sha256: str
    bytes: int
    float16_share: float
    casts: int
    largest_float16: float
    largest_float16_name: str
    weights_snr_db: float
    silence_dbfs: float
    finite: bool
    pessimistic_db: float
    signals: Mapping[str, SignalFigures]

    @property
    def headroom(self) -> float:
        """How many times larger float16 values could be before they overflow; infinite without any."""
        return FLOAT16_MAXIMUM / self.largest_float16 if self.largest_float16 else math.inf


@dataclass(frozen=True)
class Conditions:
    """What all figures of a file have in common; figures under others cannot stand beside them.

    Attributes
    ----------
    version : int
        `htdemucs_coreml.fidelity.measurement.VERSION`.
    model, weights_sha256 : str
        The model and its weights.
    stems : tuple of str
        The model's stems.
    segment_samples : int
        Length of a segment.
    signals : tuple of str
        Names of the signals.
    seed : int
        Which ones of their kinds.
    """

    version: int
    model: str
    weights_sha256: str
    stems: tuple[str, ...]
    segment_samples: int
    signals: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Results:
    """All that was measured.

    Attributes
    ----------
    conditions : Conditions
        Under which.
    pytorch_float64_snr_db : Mapping of str to tuple of float
        Score of float32 PyTorch against float64 PyTorch by signal, a figure for each stem.
    packages : Mapping of str to PackageFigures
        By variant.
    attention : Mapping of str to PackageFigures
        By variant: the same with attention in float32.
    """

    conditions: Conditions
    pytorch_float64_snr_db: Mapping[str, tuple[float, ...]]
    packages: Mapping[str, PackageFigures]
    attention: Mapping[str, PackageFigures]


def read_results(path: Path) -> Results:
    """Read a file of results.

    Raises
    ------
    FidelityError
        If it cannot be read or is malformed.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAXIMUM_BYTES + 1)
    except OSError as error:
        raise FidelityError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _MAXIMUM_BYTES:
        raise FidelityError(f"{path} has more than {_MAXIMUM_BYTES} bytes; it holds no results")
    try:
        return parse_results(content.decode())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FidelityError(f"{path} is malformed: {error!r}; `just update-fidelity` writes it anew") from error


def parse_results(text: str) -> Results:
    """Make results of the text of their file.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        If it is malformed.
    """
    table = tomllib.loads(text)
    conditions: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table["conditions"].items()
    }
    return Results(
        conditions=Conditions(**conditions),
        pytorch_float64_snr_db={
            name: tuple(map(float, figures)) for name, figures in table["pytorch_float64_snr_db"].items()
        },
        packages={name: _package(fields) for name, fields in table.get("packages", {}).items()},
        attention={name: _package(fields) for name, fields in table.get("attention", {}).items()},
    )


def results_text(results: Results) -> str:
    """The text of a file of results."""
    conditions = results.conditions
    lines = [_HEAD, "", "[conditions]"]
    lines += [f"{field.name} = {_literal(getattr(conditions, field.name))}" for field in fields(Conditions)]
    lines += ["", "[pytorch_float64_snr_db]"]
    lines += [f"{name} = {_decibels(figures)}" for name, figures in results.pytorch_float64_snr_db.items()]
    for section, packages in (("packages", results.packages), ("attention", results.attention)):
        for name, figures in packages.items():
            lines += ["", *_package_lines(f'{section}."{name}"', figures)]
    return "\n".join(lines) + "\n"


def write_results(path: Path, results: Results) -> None:
    """Write a file of results, whole or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(results_text(results), encoding="utf-8")


def rounded(results: Results) -> Results:
    """Results as they are read once they were written."""
    return parse_results(results_text(results))


def _package(table: Mapping[str, Any]) -> PackageFigures:
    signals = {
        signal: SignalFigures(**{name: tuple(map(float, values)) for name, values in columns.items()})
        for signal, columns in table["signals"].items()
    }
    return PackageFigures(**{**table, "signals": signals})


def _package_lines(section: str, figures: PackageFigures) -> Iterator[str]:
    yield f"[{section}]"
    yield f"sha256 = {_literal(figures.sha256)}"
    yield f"bytes = {figures.bytes}"
    yield f"float16_share = {figures.float16_share:.6f}"
    yield f"casts = {figures.casts}"
    yield f"largest_float16 = {_digits(figures.largest_float16)}"
    yield f"largest_float16_name = {_literal(figures.largest_float16_name)}"
    yield f"weights_snr_db = {_decibel(figures.weights_snr_db)}"
    yield f"silence_dbfs = {_decibel(figures.silence_dbfs)}"
    yield f"finite = {_literal(figures.finite)}"
    yield f"pessimistic_db = {_decibel(figures.pessimistic_db)}"
    for signal, columns in figures.signals.items():
        yield f"[{section}.signals.{signal}]"
        yield f"snr_db = {_decibels(columns.snr_db)}"
        yield f"float64_snr_db = {_decibels(columns.float64_snr_db)}"
        yield f"si_sdr_change_db = [{', '.join(map(_change, columns.si_sdr_change_db))}]"
        yield f"mean_relative_error = [{', '.join(map(_digits, columns.mean_relative_error))}]"
        yield f"maximum_error = [{', '.join(map(_digits, columns.maximum_error))}]"


def _literal(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _decibels(values: tuple[float, ...]) -> str:
    return f"[{', '.join(map(_decibel, values))}]"


def _decibel(value: float) -> str:
    return f"{value:.2f}"


def _change(value: float) -> str:
    # Adding zero makes minus zero plus zero.
    return f"{round(value, 4) + 0.0:.4f}"


def _digits(value: float) -> str:
    # TOML demands a digit on both sides of a decimal point, and takes an exponent.
    return f"{value:.2e}"
