"""Choosing a backend by its name, and finding the package or the weights that it runs.

Backends are imported when they are chosen: each brings in large libraries that the others do not need.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from htdemucs_coreml.backends.bag import BagBackend
from htdemucs_coreml.backends.base import BackendError, CoreBackend
from htdemucs_coreml.convert.variants import Variant, default_variant
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, BagEntry, bags, find_model
from htdemucs_coreml.weights.content import MissingWeightsError

if TYPE_CHECKING:
    from htdemucs_coreml.backends.core_ml import CoreMLBackend
    from htdemucs_coreml.backends.interpreted import InterpreterBackend

BACKEND_NAMES = ("interpreter", "torch", "coreml")
PACKAGES_VARIABLE = "HTDEMUCS_COREML_PACKAGES"

Segment = Literal["10s", "7.8s"]


class MissingPackageError(BackendError):
    """There is no package of a model where one was looked for."""


def load_backend(
    name: str,
    *,
    model: str | None,
    package: Path | None,
    weights: Path | None,
    segment: Segment | None,
    sha256: str | None = None,
    variant: str | None = None,
    packages: Path | None = None,
    stems: Sequence[str] | None = None,
) -> CoreBackend:
    """Load a backend.

    Parameters
    ----------
    name : str
        One of `BACKEND_NAMES`.
    model : str or None
        A model or bag of the registry; its packages are looked for in the folder `packages`.
    package : Path or None
        A package, in place of `model`. With PyTorch, which model and segment it was made for.
    weights : Path or None
        Weights for PyTorch; for a bag the folder that holds its members' files under their published names.
    segment : "10s", "7.8s" or None
        Which segment a model's package or core has; None is 10 s, or the package's own.
    sha256 : str or None
        Hexadecimal sha256 that the weights file must have, in place of the registry's.
    variant : str or None
        Which of a model's packages, in place of `segment`; see `htdemucs_coreml.convert.variants`.
    packages : Path or None
        Folder of packages; by default the one that HTDEMUCS_COREML_PACKAGES names.
    stems : sequence of str, optional
        The only stems that will be asked for. Members of a bag that do not count in them are not loaded, and the
        backend's contract has only them; a single model gives all of its stems.

    Raises
    ------
    HTDemucsCoreMLError
        If the backend is unknown or what it needs is missing or does not fit.
    """
    if name not in BACKEND_NAMES:
        raise BackendError(f"there is no backend {name!r}; choose one of {', '.join(BACKEND_NAMES)}")
    bag = bags().get(model) if package is None and model is not None else None
    if bag is not None:
        # Whoever asks for a stem that there is not is told of all that there are.
        wanted = bag.sources if stems is None or not set(stems) <= set(bag.sources) else stems
        counting = {stem: bag.weights_of(stem) for stem in bag.sources if stem in wanted}
        members = [member for member in bag.members if any(member in column for column in counting.values())]
        if sha256 is not None:
            raise BackendError(f"{bag.name} has a weights file for each member: --sha256 cannot stand for all of them")
        files = {} if weights is None else _weights_of_members(bag, members, weights)
        try:
            cores = {
                member: _core(name, member, None, files.get(member), segment, variant, packages, None)
                for member in members
            }
        except (MissingPackageError, MissingWeightsError) as error:
            raise BackendError(
                f"{bag.name} needs each of {', '.join(members)}, and one is missing: `htdemucs-coreml fetch "
                f"{bag.name}` gets their weights; for the packages, convert each and name their folder with --packages"
            ) from error
        return BagBackend(cores, counting)
    return _core(name, model, package, weights, segment, variant, packages, sha256)


def find_package(model: str | None, segment: Segment | None) -> Path:
    """The package of a model in the default variant, with a segment; see `find_package_of_variant`."""
    return find_package_of_variant(model or EMBEDDED_MODEL, _default_variant(segment).name)


def find_package_of_variant(model: str, variant: str, folder: Path | None = None) -> Path:
    """The package of a model in a folder, by default among those that were built beside this installation.

    Raises
    ------
    UnknownModelError
        If the registry has no such model.
    MissingPackageError
        If there is no such package; the message says how to make one.
    """
    entry = find_model(model)
    file = f"{entry.name}.{variant}.mlpackage"
    if folder is None and os.environ.get(PACKAGES_VARIABLE):
        folder = Path(os.environ[PACKAGES_VARIABLE])
    if folder is not None and (folder / file).is_dir():
        return (folder / file).resolve()
    fetch = f"fetch its weights with `htdemucs-coreml fetch {entry.name}`, " if entry.weights else ""
    raise MissingPackageError(
        f"no package of {entry.name} is {'at hand' if folder is None else f'in {folder}'}: {fetch}make one with "
        f"`htdemucs-coreml convert --model {entry.name} --variant {variant} -o {file}` and give it with "
        f"--package {file}, or name its folder with --packages"
    )


def _core(
    name: str,
    model: str | None,
    package: Path | None,
    weights: Path | None,
    segment: Segment | None,
    variant: str | None,
    packages: Path | None,
    sha256: str | None,
) -> CoreBackend:
    if name == "torch":
        return _torch_backend(model, package, weights, segment, sha256)
    variant = variant or _default_variant(segment).name
    path = package or find_package_of_variant(model or EMBEDDED_MODEL, variant, packages)
    core = _package_backend(name, path)
    if package is None and core.metadata.model != (model or EMBEDDED_MODEL):
        raise BackendError(
            f"{path} holds the model {core.metadata.model}, and not the one that it is named after; "
            "name it after what it holds, or give it with --package"
        )
    return core


def _package_backend(name: str, path: Path) -> "CoreMLBackend | InterpreterBackend":
    if name == "coreml":
        from htdemucs_coreml.backends.core_ml import CoreMLBackend

        return CoreMLBackend(path)
    from htdemucs_coreml.backends.interpreted import InterpreterBackend

    return InterpreterBackend(path)


def _weights_of_members(bag: BagEntry, members: Sequence[str], folder: Path) -> dict[str, Path]:
    """The file of each member in a folder, the preferred form where there are several."""
    files: dict[str, Path] = {}
    for member in members:
        names = [published.file for published in find_model(member).weights]
        present = [folder / name for name in names if (folder / name).is_file()]
        if not present:
            raise BackendError(
                f"{folder} has no weights of {member}: for {bag.name}, put {' or '.join(names)} there, "
                "and the other members' files beside it"
            )
        files[member] = present[0]
    return files


def _torch_backend(
    model: str | None, package: Path | None, weights: Path | None, segment: Segment | None, sha256: str | None
) -> CoreBackend:
    from htdemucs_coreml.backends.pytorch import TorchBackend

    if package is not None:
        from htdemucs_coreml.package.reader import read_package

        metadata = read_package(package).metadata
        return TorchBackend.load(find_model(metadata.model), weights, metadata.segment_samples, sha256)
    samples = _default_variant(segment).segment_samples
    return TorchBackend.load(find_model(model or EMBEDDED_MODEL), weights, samples, sha256)


def _default_variant(segment: Segment | None) -> Variant:
    return default_variant(short=segment == "7.8s")
