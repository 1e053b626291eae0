"""Toys, each unreproducible on purpose: its bytes depend on one thing about the machine.

Run as ``python -m repro.toys FOLDER TOY…``, which writes a file for each. Imports stand in the functions: most toys
need none of the large libraries, and start in a tenth of a second.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path


def random() -> bytes:
    """What is random."""
    return os.urandom(16)


def year() -> bytes:
    """The clock."""
    import time

    return time.strftime("%Y").encode()


def local_time() -> bytes:
    """The time zone."""
    import time

    return time.strftime("%H:%M", time.localtime(0)).encode()


def mode() -> bytes:
    """The umask: bytes stay, but the file that they are written into gets another mode."""
    return b""


def encoding() -> bytes:
    """The locale."""
    import locale

    return f"{locale.setlocale(locale.LC_CTYPE, '')} {locale.getpreferredencoding()}".encode()


def home() -> bytes:
    """The home folder."""
    return str(Path.home()).encode()


def user() -> bytes:
    """The user and the group."""
    return f"{os.getuid()} {os.getgid()}".encode()


def variables() -> bytes:
    """Environment variables."""
    return os.environ.get("USER", "").encode()


def path() -> bytes:
    """The path of the build, as far as it has the same length."""
    return Path.cwd().name.encode()


def path_length() -> bytes:
    """The length of the path."""
    return str(len(__file__)).encode()


def listing() -> bytes:
    """The order in which a folder lists its files."""
    return "\n".join(entry.name for entry in os.scandir(Path(__file__).parent)).encode()


def modified() -> bytes:
    """The modification time of a source, to ten years."""
    return str(int(Path(__file__).stat().st_mtime) // 315_576_000).encode()


def host() -> bytes:
    """The host's name."""
    return os.uname().nodename.encode()


def kernel() -> bytes:
    """The kernel's name."""
    return os.uname().release.encode()


def interfaces() -> bytes:
    """Whether there is a network."""
    import socket

    return repr(sorted(name for _, name in socket.if_nameindex() if name != "lo")).encode()


def address() -> bytes:
    """Where an object lies in memory."""
    return hex(id(object())).encode()


def set_order() -> bytes:
    """The order of a set of strings."""
    return " ".join({f"name{number}" for number in range(20)}).encode()


def sums() -> bytes:
    """The order of additions, which follows the number of threads."""
    import torch

    values = torch.rand(20, 1 << 18, generator=torch.Generator().manual_seed(1))
    return torch.stack([row.sum() for row in values]).numpy().tobytes()


def numpy_kernels() -> bytes:
    """NumPy's float32 sine and power: one differs with and without AVX2, the other with and without AVX-512."""
    import numpy as np

    values = np.linspace(0, 40, 1 << 16, dtype=np.float32)
    return np.sin(values).tobytes() + np.power(values, np.float32(1.37)).tobytes()


def torch_kernels() -> bytes:
    """PyTorch's float32 softmax, which differs between vector widths."""
    import torch

    return torch.rand(64, 1 << 12, generator=torch.Generator().manual_seed(1)).softmax(-1).numpy().tobytes()


def matrix_product() -> bytes:
    """The float32 matrix product of MKL."""
    import torch

    values = torch.rand(256, 256, generator=torch.Generator().manual_seed(1))
    return (values @ values).numpy().tobytes()


def convolution() -> bytes:
    """The float32 convolution of oneDNN."""
    import torch

    generator = torch.Generator().manual_seed(1)
    image, weight = torch.rand(1, 16, 64, 64, generator=generator), torch.rand(32, 16, 3, 3, generator=generator)
    return torch.nn.functional.conv2d(image, weight).numpy().tobytes()


TOYS: dict[str, Callable[[], bytes]] = {
    toy.__name__: toy
    for toy in (
        random,
        year,
        local_time,
        mode,
        encoding,
        home,
        user,
        variables,
        path,
        path_length,
        listing,
        modified,
        host,
        kernel,
        interfaces,
        address,
        set_order,
        sums,
        numpy_kernels,
        torch_kernels,
        matrix_product,
        convolution,
    )
}
"""Every toy by its name."""


def main(folder: Path, names: list[str]) -> None:
    """Write a file for each named toy."""
    for name in names:
        (folder / name).mkdir()
        (folder / name / "toy").write_bytes(TOYS[name]())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
