"""One target in a process of its own, under atheris: ``python -m fuzz.worker TARGET MEGABYTES [OPTION]...``."""

import resource
import sys
from pathlib import Path
from random import Random

import atheris


def main(name: str, megabytes: int, arguments: list[str]) -> None:
    """Fuzz one target within so much memory beyond what the process takes at its start; does not return."""
    with atheris.instrument_imports(include=["htdemucs_coreml"]):
        import torch

        from fuzz.targets import TARGETS
    torch.set_num_threads(1)
    target = TARGETS[name]

    def mutate(data: bytes, maximum: int, seed: int) -> bytes:
        assert target.mutate is not None
        return target.mutate(data, maximum, Random(seed), atheris.Mutate)

    options = {} if target.mutate is None else {"custom_mutator": mutate}
    atheris.Setup([sys.argv[0], f"-max_len={target.maximum_bytes}", *arguments], target.check, **options)
    limit = _data_bytes() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    atheris.Fuzz()


def _data_bytes() -> int:
    """Private writable memory that this process has mapped, which is what the limit counts."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
