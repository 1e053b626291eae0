"""Streams cut into blocks of one length."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def equal_blocks(blocks: Iterable[Tensor], block_samples: int) -> Iterator[Tensor]:
    """Cut blocks ``[channels, n]`` of any lengths into ones of `block_samples` and a last one of the rest."""
    pending: list[Tensor] = []
    held = 0
    for block in blocks:
        pending.append(block)
        held += block.shape[1]
        if held < block_samples:
            continue
        joined = torch.cat(pending, dim=1)
        whole = held - held % block_samples
        for start in range(0, whole, block_samples):
            yield joined[:, start : start + block_samples]
        pending = [joined[:, whole:].clone()]
        held -= whole
    if held:
        yield torch.cat(pending, dim=1)
