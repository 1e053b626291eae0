"""Digests of packages: of a whole one, and of a model that carries its own."""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

UNSIGNED = "0" * 64
"""Stands for a model's digest while the digest is computed."""


def sha256_bytes(content: bytes) -> str:
    """Hexadecimal sha256 of bytes in memory."""
    return hashlib.sha256(content).hexdigest()


def model_sha256(serialised: bytes, claimed: str) -> str:
    """Digest of a serialised model that can stand in its own metadata: sha256 with `claimed` replaced by zeros.

    Parameters
    ----------
    serialised : bytes
        A ``model.mlmodel``.
    claimed : str
        The digest that its metadata holds.
    """
    return sha256_bytes(serialised.replace(claimed.encode(), UNSIGNED.encode()))


def tree_sha256(digests: Mapping[PurePosixPath, str]) -> str:
    """Digest of a folder: sha256 over a line ``<sha256>  <path>`` for each file in order of the paths."""
    lines = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests, key=str))
    return hashlib.sha256(lines.encode()).hexdigest()
