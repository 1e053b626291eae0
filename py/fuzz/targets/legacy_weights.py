"""Weights in upstream's legacy form: an archive of stored entries, and the pickle in it."""

import io
import pickletools
import zipfile
from contextlib import suppress
from pathlib import Path
from random import Random

from fuzz.parts import any_bytes, mutation, split
from fuzz.target import MutateBytes, Target
from htdemucs_coreml.weights.content import FormError, WeightsError
from htdemucs_coreml.weights.stored_zip import stored_entries
from htdemucs_coreml.weights.torch_file import parse_torch_file

_UTF8_FLAG = 0x0800
_SIGNATURES = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
# Operations that models hold, and some that none does.
_OPERATIONS = (
    *(
        b"N",
        b"\x88",
        b"\x89",
        b"K\x00",
        b"K\x01",
        b"M\xff\xff",
        b"J\xff\xff\xff\xff",
        b"\x8a\x08" + b"\xff" * 8,
        b")",
        b"]",
    ),
    *(
        b"}",
        b"\x85",
        b"\x86",
        b"\x87",
        b"(",
        b"t",
        b"a",
        b"e",
        b"s",
        b"u",
        b"q\x00",
        b"h\x00",
        b"r\xff\xff\xff\xff",
        b"R",
    ),
    *(b"Q", b"b", b".", b"G" + bytes(8), b"X\x01\x00\x00\x000", b"ccollections\nOrderedDict\n", b"cos\nsystem\n", b"i"),
    *(b"cdemucs.htdemucs\nHTDemucs\n", b"cfractions\nFraction\n", b"ctorch\nFloatStorage\n", b"ctorch\nHalfStorage\n"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cnumpy.core.multiarray\nscalar\n", b"\x8c\x01x", b"\x95" + bytes(8)),
)


def torch_file(data: bytes) -> None:
    """A pickle and a storage's values, in an archive as torch.save makes one; no tensor goes beyond its storage."""
    pickle, values = split(data)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in {"data.pkl": pickle, "version": b"3\n", "data/0": values}.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    file = parse_torch_file(stream.getvalue(), Path("weights.th"))
    for tensor in file.tensors.values():
        assert tensor.nbytes <= len(values)
        assert len(tensor.tobytes()) == tensor.nbytes
        assert not tensor.flags.writeable
    repr((file.positional, file.named))


def stored_zip(data: bytes) -> None:
    """An archive: what Python's own reader reads, too, it reads as the same."""
    entries = {name.encode(): bytes(content) for name, content in stored_entries(data).items()}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            read = {_name(entry): archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError):
        # It also judges fields that say nothing of stored entries: extra ones, and the version that would be needed.
        return
    assert read == entries


def _name(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8_FLAG else "cp437")


def _mutate_pickle(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Leave out, repeat, exchange or insert operations, or change the bytes of one."""
    operations = _operations(data)
    if len(operations) < 2 or random.random() < 0.1:
        return mutate_bytes(data, maximum)
    for _ in range(random.choice((1, 1, 2, 4))):
        index, other = random.randrange(len(operations)), random.randrange(len(operations))
        choice = random.randrange(6)
        if choice == 0 and len(operations) > 2:
            del operations[index]
        elif choice == 1:
            operations.insert(other, operations[index])
        elif choice == 2:
            operations[index], operations[other] = operations[other], operations[index]
        elif choice == 3:
            operations.insert(index, random.choice(_OPERATIONS))
        elif choice == 4:
            operations[index] = random.choice(_OPERATIONS)
        else:
            operations[index] = mutate_bytes(operations[index], len(operations[index]) + 8)
    return b"".join(operations)[:maximum]


def _operations(data: bytes) -> list[bytes]:
    """The bytes of each operation, as far as they can be told apart, and of the rest."""
    starts: list[int] = []
    with suppress(ValueError, IndexError):
        starts.extend(position for _, _, position in pickletools.genops(data) if position is not None)
    ends = [*starts[1:], len(data)][: len(starts)]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)]


def _mutate_archive(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change a number of a header, or bytes alone."""
    places = [at for at in range(len(data)) if data[at : at + 4] in _SIGNATURES]
    if not places or random.random() < 0.4:
        return mutate_bytes(data, maximum)
    changed = bytearray(data)
    at = random.choice(places) + 4 + 2 * random.randrange(21)
    size = random.choice((2, 4))
    value = int.from_bytes(changed[at : at + size], "little")
    value = random.choice(
        (value + 1, value - 1, value ^ 8, 0, 1, len(data), 2 ** (8 * size) - 1, random.choice(places))
    )
    changed[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(changed[:maximum])


TARGETS = (
    Target(
        "torch_file",
        torch_file,
        (WeightsError,),
        weight=12,
        mutate=mutation(_mutate_pickle, any_bytes, of_first=0.95),
    ),
    Target("stored_zip", stored_zip, (FormError,), weight=10, mutate=_mutate_archive),
)
