"""Attention."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from htdemucs_coreml.mil.operations.registry import ParameterError, operation


@operation()
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """Compute ``softmax(query @ key.T / sqrt(E) + attn_mask) @ value``; E is the size of their last axis.

    A boolean `attn_mask` stands for 0 where it is true and for -infinity where it is false.
    """
    if query.ndim < 3 or not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        raise ParameterError(
            "query",
            f"has the shape {list(query.shape)}, key {list(key.shape)}, value {list(value.shape)};"
            " expected at least 3 axes, equal but for the last two",
        )
    if attn_mask is None:
        return functional.scaled_dot_product_attention(query, key, value)
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    if attn_mask.dtype == torch.bool:
        return torch.softmax(scores.masked_fill(~attn_mask, -math.inf), -1) @ value
    return torch.softmax(scores + attn_mask, -1) @ value
