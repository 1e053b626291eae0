"""A weights file of a demucs model, in whichever form: a class, its arguments, and tensors.

Upstream's reader of the safetensors form imports whatever class the metadata names and calls it with the metadata's
arguments (facebookresearch/demucs 4.1.0, ``demucs/hf.py``). Here the class has to be ``demucs.htdemucs.HTDemucs``, the
arguments are returned as plain values, and nothing from the file is imported, called or unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from htdemucs_coreml.weights import stored_zip
from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.safetensors_file import parse_safetensors
from htdemucs_coreml.weights.torch_file import parse_torch_file

ALLOWED_CLASS = "demucs.htdemucs.HTDemucs"


@dataclass(frozen=True)
class ModelFile:
    """What a weights file holds.

    Attributes
    ----------
    arguments : Mapping[str, object]
        Arguments of ``demucs.htdemucs.HTDemucs``: plain values and fractions.
    tensors : Mapping[str, NDArray]
        Arrays by name, float16 or float32, read-only views of the file.
    """

    arguments: Mapping[str, object]
    tensors: Mapping[str, NDArray[Any]]


def parse_model_file(content: bytes, path: Path) -> ModelFile:
    """Parse the bytes of a weights file, whose form is recognised by its first bytes; `path` is named in errors.

    Raises
    ------
    WeightsError
        If they depart from their form in any way, or hold another class.
    """
    if content.startswith(stored_zip.SIGNATURE):
        torch_file = parse_torch_file(content, path)
        return ModelFile(_arguments(path, torch_file.positional, torch_file.named), torch_file.tensors)
    if _is_pickle(content):
        raise WeightsError(
            f"{path} is a pickle, the form that torch.save wrote before PyTorch 1.6, which is not read; give a "
            "safetensors file, or save the model again with a newer PyTorch"
        )
    file = parse_safetensors(content, path)
    return ModelFile(_safetensors_arguments(path, file.metadata), file.tensors)


def _is_pickle(content: bytes) -> bool:
    """Whether bytes begin as a pickle of protocol 2 or newer; a safetensors file's length has zeros in bytes 3 to 7."""
    return content.startswith(b"\x80") and any(content[3:8])


def _safetensors_arguments(path: Path, metadata: Mapping[str, str]) -> Mapping[str, object]:
    name = metadata.get("klass")
    if name != ALLOWED_CLASS:
        raise WeightsError(f"{path} names the class {name!r}; only {ALLOWED_CLASS} is accepted")
    if "structure" in metadata:
        raise WeightsError(f"{path} holds a nested state, which could import code; only plain tensors are accepted")
    try:
        positional = json.loads(metadata.get("args", "[]"), object_hook=_fraction)
        named = json.loads(metadata.get("kwargs", "{}"), object_hook=_fraction)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} has metadata that is not valid JSON ({error})") from error
    return _arguments(path, positional, named)


def _arguments(path: Path, positional: object, named: object) -> Mapping[str, object]:
    """Arguments by name, the one that may come without a name among them."""
    if not isinstance(positional, list) or not isinstance(named, dict) or len(positional) > 1:
        raise WeightsError(f"{path} has metadata that gives no arguments of {ALLOWED_CLASS}")
    return {**named, **({"sources": positional[0]} if positional else {})}


def _fraction(table: dict[str, Any]) -> object:
    if table.get("_type") != "fraction":
        return table
    match table:
        case {"numerator": int(numerator), "denominator": int(denominator)} if denominator > 0:
            return Fraction(numerator, denominator)
        case _:
            raise ValueError("a fraction lacks its numbers")
