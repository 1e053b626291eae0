"""What a package says of itself, so that hosts never hard-code it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from htdemucs_coreml.core.contract import HOP_LENGTH, N_FFT, SAMPLE_RATE_HZ, CoreContract
from htdemucs_coreml.errors import HTDemucsCoreMLError

MAX_SOURCES = 64
"""Far more than any network separates."""
MAX_SEGMENT_SAMPLES = 60 * SAMPLE_RATE_HZ
"""A minute: far more than any network reads, for which its inputs take 106 MB of memory."""

_STEM_NAME = re.compile("[a-z0-9_-]{1,64}")
_NUMBER = re.compile("[1-9][0-9]{0,8}")
_SHA256 = re.compile("[0-9a-f]{64}")


class PackageError(HTDemucsCoreMLError):
    """A package is missing, damaged, or not one of this project's."""


@dataclass(frozen=True)
class PackageMetadata:
    """The user-defined metadata of a package.

    Attributes
    ----------
    model, variant : str
        Names in the registry and among the variants.
    sources : tuple of str
        Stems in the order of the outputs' second axis.
    sample_rate : int
        Rate of the waveform in Hz.
    segment_samples, n_fft, hop_length : int
        Lengths in samples of a segment, of an STFT window and of the hop between windows.
    weights_sha256 : str
        Digest of the weights that were converted; see `htdemucs_coreml.weights.checkpoint.canonical_sha256`.
    weight_bin_sha256 : str
        Digest of the package's ``weight.bin``, which hosts check when they load it.
    model_sha256 : str
        Digest of the package's ``model.mlmodel``, this very value written as 64 zeros in it; see
        `htdemucs_coreml.package.digests.model_sha256`.
    """

    model: str
    variant: str
    sources: tuple[str, ...]
    sample_rate: int
    segment_samples: int
    n_fft: int
    hop_length: int
    weights_sha256: str
    weight_bin_sha256: str
    model_sha256: str

    @property
    def contract(self) -> CoreContract:
        """The core's inputs and outputs."""
        return CoreContract(self.sources, self.segment_samples)

    def to_strings(self) -> dict[str, str]:
        """The metadata as the strings that a package stores; `sources` is a JSON list."""
        return {
            "hop_length": str(self.hop_length),
            "model": self.model,
            "model_sha256": self.model_sha256,
            "n_fft": str(self.n_fft),
            "sample_rate": str(self.sample_rate),
            "segment_samples": str(self.segment_samples),
            "sources": json.dumps(self.sources),
            "variant": self.variant,
            "weight_bin_sha256": self.weight_bin_sha256,
            "weights_sha256": self.weights_sha256,
        }

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> "PackageMetadata":
        """Parse and check the strings of a package.

        Raises
        ------
        PackageError
            If an entry is missing or malformed, or asks for an STFT that this project does not compute.
        """
        try:
            sources = json.loads(strings["sources"])
            if not isinstance(sources, list) or not sources or len(set(map(str, sources))) != len(sources):
                raise ValueError("sources is not a list of different names")
            if len(sources) > MAX_SOURCES:
                raise ValueError(f"it has {len(sources)} sources; more than {MAX_SOURCES} are refused")
            if not all(isinstance(name, str) and _STEM_NAME.fullmatch(name) for name in sources):
                raise ValueError(f"sources are {sources}; a stem's name is made of a to z, 0 to 9, - and _")
            metadata = cls(
                model=strings["model"],
                variant=strings["variant"],
                sources=tuple(sources),
                sample_rate=_number(strings, "sample_rate"),
                segment_samples=_number(strings, "segment_samples"),
                n_fft=_number(strings, "n_fft"),
                hop_length=_number(strings, "hop_length"),
                weights_sha256=_digest(strings, "weights_sha256"),
                weight_bin_sha256=_digest(strings, "weight_bin_sha256"),
                model_sha256=_digest(strings, "model_sha256"),
            )
        except KeyError as error:
            raise PackageError(f"the package's metadata lacks {error}; it was not made by this project") from error
        except (ValueError, RecursionError) as error:
            raise PackageError(f"the package's metadata is malformed: {error}; convert the model again") from error
        expected = (SAMPLE_RATE_HZ, N_FFT, HOP_LENGTH)
        if (
            metadata.sample_rate,
            metadata.n_fft,
            metadata.hop_length,
        ) != expected or not N_FFT <= metadata.segment_samples <= MAX_SEGMENT_SAMPLES:
            raise PackageError(
                f"the package asks for sample rate, STFT window and hop {metadata.sample_rate}, {metadata.n_fft}, "
                f"{metadata.hop_length} and segments of {metadata.segment_samples} samples; this version computes "
                f"{expected} and segments of {N_FFT} to {MAX_SEGMENT_SAMPLES} samples"
            )
        return metadata


def _number(strings: Mapping[str, str], key: str) -> int:
    """A number in the one form that it has; `int` would take others, too."""
    if not _NUMBER.fullmatch(strings[key]):
        raise ValueError(f"{key} is {strings[key]!r}, not a positive number of at most nine digits")
    return int(strings[key])


def _digest(strings: Mapping[str, str], key: str) -> str:
    """A digest. Readers look for the model's own in its bytes: an empty text would be found between any two of them."""
    if not _SHA256.fullmatch(strings[key]):
        raise ValueError(f"{key} is {strings[key]!r}, not a hexadecimal sha256")
    return strings[key]
