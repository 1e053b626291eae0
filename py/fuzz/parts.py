"""Inputs of two parts, such as a model and its weights: the first part's length in 4 bytes, then both."""

from random import Random

from fuzz.target import Mutate, MutateBytes

_LENGTH_BYTES = 4


def join(first: bytes, second: bytes) -> bytes:
    """One input of two parts."""
    return len(first).to_bytes(_LENGTH_BYTES, "little") + first + second


def split(data: bytes) -> tuple[bytes, bytes]:
    """Both parts of an input; a length beyond its end means that all of it is the first part."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    rest = data[_LENGTH_BYTES:]
    return rest[:length], rest[length:]


def mutation(first: Mutate, second: Mutate, of_first: float) -> Mutate:
    """Change one part or the other; `of_first` is the chance of the first."""

    def mutate(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
        parts = list(split(data))
        chosen = 0 if random.random() < of_first else 1
        room = max(1, maximum - _LENGTH_BYTES - len(parts[1 - chosen]))
        parts[chosen] = (first, second)[chosen](parts[chosen], room, random, mutate_bytes)
        return join(*parts)[:maximum]

    return mutate


def any_bytes(data: bytes, maximum: int, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change bytes without knowing what they mean."""
    del random
    return mutate_bytes(data, maximum)
