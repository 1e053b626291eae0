"""Weights files in upstream's legacy form: from upstream's own serialiser, and written by hand, to be hostile."""

import io
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from demucs.htdemucs import HTDemucs
from demucs.states import save_with_checksum, serialize_model

TRAINING_ARGUMENTS = {"lr": 3e-4, "seed": 2**40, "shift": -3, "dset": {"sources": ["a", None, True, {}], 1: []}}


def serialised(network: HTDemucs, *, half: bool = True) -> dict[str, Any]:
    """What upstream's exporter saves of a network.

    OmegaConf, which there turns the training's arguments into plain values, is no dependency here.
    """
    omegaconf = ModuleType("omegaconf")
    vars(omegaconf)["OmegaConf"] = mock.Mock(to_container=lambda arguments, **_: arguments)
    with mock.patch.dict(sys.modules, {"omegaconf": omegaconf}):
        package: dict[str, Any] = serialize_model(network, TRAINING_ARGUMENTS, half=half)
    return package


def save_legacy_weights(package: object, folder: Path) -> Path:
    """Write what `serialised` returned as upstream does; the file's name has a part of its sha256."""
    save_with_checksum(package, folder / "small.th")
    return next(folder.glob("small-*.th"))


def records_of(content: bytes) -> dict[str, bytes]:
    """The entries of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(records: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of entries, by Python's own writer."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return stream.getvalue()


def with_pickle(data: bytes, storages: Mapping[str, bytes] | None = None) -> bytes:
    """An archive as torch.save makes one, around any pickle."""
    records = {"archive/data.pkl": data, "archive/version": b"3\n"}
    return archive_of({**records, **{f"archive/data/{key}": values for key, values in (storages or {}).items()}})


def text(value: str) -> bytes:
    """The pickle operation for a string."""
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def package_pickle(state: bytes, *, klass: bytes = b"cdemucs.htdemucs\nHTDemucs\n", kwargs: bytes = b"}") -> bytes:
    """A pickle of a package, around operations that make its state, class and arguments."""
    items = {"klass": klass, "args": b")", "kwargs": kwargs, "state": state}
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in items.items()) + b"u."


def storage(key: str = "0", count: bytes = b"K\x06", kind: bytes = b"ctorch\nHalfStorage\n") -> bytes:
    """Pickle operations for a storage."""
    return b"(" + text("storage") + kind + text(key) + text("cpu") + count + b"tQ"


def tensor(
    values: bytes | None = None,
    *,
    offset: bytes = b"K\x00",
    sizes: bytes = b"(K\x02K\x03t",
    strides: bytes = b"(K\x03K\x01t",
    tail: bytes = b"\x89ccollections\nOrderedDict\n)R",
) -> bytes:
    """Pickle operations for a tensor, by default of shape 2 x 3."""
    described = (storage() if values is None else values) + offset + sizes + strides + tail
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + described + b"tR"


def state(*tensors: bytes) -> bytes:
    """Pickle operations for a state of tensors that are named by their number."""
    return b"}(" + b"".join(text(str(index)) + each for index, each in enumerate(tensors)) + b"u"
