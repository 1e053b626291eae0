"""Checkpoints: the weights of a model of the registry, read from a file that nobody has to trust."""

import hashlib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from htdemucs_coreml.models.architecture import network_arguments, parameter_shapes
from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.content import WeightsError, read_weights_file
from htdemucs_coreml.weights.model_file import ModelFile, parse_model_file

# Arguments that change how a model is initialised or trained, but not what it computes.
_TRAINING_ARGUMENTS = frozenset(
    {"dconv_init", "emb_smooth", "rescale", "t_dropout", "t_lr", "t_weight_decay", "use_train_segment"}
)
# Arguments that mean something only with options that no model of the registry uses: sparse attention, other positional
# embeddings, several bands of frequencies, Wiener filters. What switches those on is compared; the published files hold
# the values of upstream's training configuration here.
_SWITCHED_OFF_ARGUMENTS = frozenset(
    {
        "multi_freqs_depth",
        "t_auto_sparsity",
        "t_cape_augment",
        "t_cape_glob_loc_scale",
        "t_cape_mean_normalize",
        "t_global_window",
        "t_mask_random_seed",
        "t_mask_type",
        "t_max_positions",
        "t_sparse_attn_window",
        "t_sparsity",
        "wiener_residual",
    }
)
_IGNORED_ARGUMENTS = _TRAINING_ARGUMENTS | _SWITCHED_OFF_ARGUMENTS
_ABBREVIATED = reprlib.Repr()
_ABBREVIATED.maxlist = 12


@dataclass(frozen=True)
class Checkpoint:
    """Weights that fit a model.

    Attributes
    ----------
    entry : ModelEntry
        The model.
    sources : tuple of str
        Stems in the checkpoint's own order.
    tensors : Mapping[str, Tensor]
        Every parameter and buffer, float32.
    sha256 : str
        Hexadecimal sha256 over the canonical tensors, the same for every file form; see `canonical_sha256`.
    """

    entry: ModelEntry
    sources: tuple[str, ...]
    tensors: Mapping[str, torch.Tensor]
    sha256: str


def load_checkpoint(path: Path, entry: ModelEntry, sha256: str | None = None) -> Checkpoint:
    """Read and check the weights of a model.

    Parameters
    ----------
    path : Path
        A safetensors file with a published file's metadata, or a file that upstream's ``save_with_checksum`` wrote.
    entry : ModelEntry
        The model that the file has to fit.
    sha256 : str or None
        Hexadecimal sha256 that the file must have. Without it, a model with published weights takes only files that the
        registry pins, byte for byte.

    Raises
    ------
    WeightsError
        If the file is another one, names another class, differs in architecture, lacks a tensor, has one too many, or
        holds a value that is not finite.
    """
    content = read_weights_file(path)
    _require_digest(path, content, entry, sha256)
    file = parse_model_file(content, path)
    _require_architecture(path, file.arguments, entry)
    return checkpoint_of(_float32_tensors(path, file, entry), entry, str(path))


def checkpoint_of(tensors: Mapping[str, NDArray[np.float32]], entry: ModelEntry, origin: str) -> Checkpoint:
    """Tensors as the checkpoint of a model; `origin` is named in errors.

    Raises
    ------
    WeightsError
        If the registry knows the tensors' digest and they have another.
    """
    sha256 = canonical_sha256(tensors)
    if entry.weights_sha256 not in (None, sha256):
        raise WeightsError(
            f"{origin} holds other weights than {entry.name}: their digest is {sha256}, not {entry.weights_sha256}"
        )
    return Checkpoint(
        entry=entry,
        sources=entry.sources,
        tensors={name: torch.from_numpy(tensor) for name, tensor in tensors.items()},
        sha256=sha256,
    )


def canonical_sha256(tensors: Mapping[str, NDArray[np.float32]]) -> str:
    """Digest of tensors that depends on names, shapes and float32 values, not on the file that held them.

    For each tensor in order of its name: the name, its shape as decimal numbers joined by ``x``, each ended by a zero
    byte, then the values as little-endian float32.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{'x'.join(map(str, tensor.shape))}\0".encode())
        digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
    return digest.hexdigest()


def _require_digest(path: Path, content: bytes, entry: ModelEntry, sha256: str | None) -> None:
    """Refuse a file that is neither the one with the given digest nor, where none is given, one that is pinned."""
    actual = hashlib.sha256(content).hexdigest()
    if sha256 is not None:
        if actual != sha256:
            raise WeightsError(f"{path} has sha256 {actual}, not {sha256} as it should; get the file that was meant")
        return
    pinned = [file.sha256 for file in entry.weights if file.sha256 is not None]
    if not entry.weights or actual in pinned:
        return
    reasons = "".join(f"; {file.file} is not pinned, {file.open}" for file in entry.weights if file.open is not None)
    expected = f"the published weights of {entry.name} have {' or '.join(pinned)}" if pinned else "none is pinned"
    raise WeightsError(
        f"{path} has sha256 {actual}, but {expected}{reasons}; get the file that the registry names or, "
        "if you trust this one, give its sha256 with --sha256"
    )


def _require_architecture(path: Path, arguments: Mapping[str, object], entry: ModelEntry) -> None:
    expected = network_arguments(entry)
    if "sources" not in arguments:
        raise WeightsError(f"{path} does not say which stems it separates; it has no argument `sources`")
    for name, value in arguments.items():
        # Arguments that demucs 4.1.0 no longer knows are ignored, as upstream's reader ignores them.
        # An empty list of bands is no list.
        value = None if name == "multi_freqs" and value == [] else value
        if name in expected and name not in _IGNORED_ARGUMENTS and value != expected[name]:
            raise WeightsError(
                f"{path} holds another model than {entry.name}: its {name} is {_ABBREVIATED.repr(value)}, "
                f"not {expected[name]!r}"
            )


def _float32_tensors(path: Path, file: ModelFile, entry: ModelEntry) -> dict[str, NDArray[np.float32]]:
    shapes = parameter_shapes(entry)
    for name in sorted(shapes.keys() ^ file.tensors.keys()):
        problem = "lacks" if name in shapes else "has an unknown tensor"
        raise WeightsError(f"{path} does not fit {entry.name}: it {problem} {name}")
    tensors = {}
    for name, shape in shapes.items():
        tensor = file.tensors[name]
        if tensor.shape != shape:
            raise WeightsError(f"{path} does not fit {entry.name}: {name} has shape {tensor.shape}, not {shape}")
        values = tensor.astype(np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(f"{path} holds values in {name} that are not finite; get it again from where it came")
        tensors[name] = values
    return tensors
