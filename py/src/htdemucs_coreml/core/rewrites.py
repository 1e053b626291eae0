"""Named rewrites of the core: the same function with fewer operations and machine-independent constants.

Each rewrite replaces submodules in place and can be applied and tested alone; `rewritten` applies all of them to a
copy.
Extraction without rewrites is bit-identical to upstream; after them the core agrees to about 120 dB.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import TypeVar

import torch
from demucs.demucs import DConv
from demucs.transformer import LayerScale, MyGroupNorm
from torch import Tensor, nn
from torch.nn import functional

from htdemucs_coreml.core.embeddings import TimeEmbedding, axis_embedding, time_embedding
from htdemucs_coreml.core.inner import (
    FrequencyEmbedding,
    FrequencyPosition,
    InnerHTDemucs,
    ModelExtractionError,
    TimePosition,
)

_M = TypeVar("_M", bound=nn.Module)


class AddConstant(nn.Module):
    """Adds a constant, broadcast, to its input.

    Parameters
    ----------
    constant : Tensor
        Broadcastable to the input's shape.
    """

    constant: Tensor

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        """Add the constant to `x`."""
        return x + self.constant


class TwoDimensionalPosition(nn.Module):
    """Adds an embedding of the frame to the first half of the channels, and one of the bin to the second half.

    Parameters
    ----------
    frames : Tensor [frames, channels / 2]
    bins : Tensor [bins, channels / 2]
    """

    frames: Tensor
    bins: Tensor

    def __init__(self, frames: Tensor, bins: Tensor) -> None:
        super().__init__()
        self.width = frames.shape[-1]
        self.register_buffer("frames", frames[None, :, None])
        self.register_buffer("bins", functional.pad(bins, (self.width, 0))[None, None])

    def forward(self, tokens: Tensor) -> Tensor:
        """Add the embeddings to `tokens` [1, frames, bins, channels]; adding zero changes no value."""
        return tokens + functional.pad(self.frames, (0, self.width)) + self.bins


class OneDimensionalPosition(nn.Module):
    """Adds an embedding of the step, which is made from its factors.

    Parameters
    ----------
    factors : TimeEmbedding
        Of as many steps as there are, or more.
    """

    turned: Tensor
    turned_quarter: Tensor
    cosines: Tensor
    sines: Tensor

    def __init__(self, factors: TimeEmbedding) -> None:
        super().__init__()
        for name, factor in factors._asdict().items():
            self.register_buffer(name, torch.from_numpy(factor))

    def forward(self, tokens: Tensor) -> Tensor:
        """Add the embedding to `tokens` [1, steps, channels]."""
        embedding = self.turned * self.cosines + self.turned_quarter * self.sines
        return tokens + embedding.reshape(1, -1, tokens.shape[2])[:, : tokens.shape[1]]


class WholeLayerNorm(nn.Module):
    """``GroupNorm(1, channels)``: normalisation over all elements but the batch, then an affine map per channel.

    Parameters
    ----------
    norm : nn.GroupNorm
        A norm with one group.
    channels_last : bool
        Whether inputs are [batch, steps, channels] rather than [batch, channels, steps].
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.GroupNorm, *, channels_last: bool) -> None:
        super().__init__()
        shape = (-1,) if channels_last else (-1, 1)
        self.eps = norm.eps
        self.register_buffer("weight", norm.weight.detach().reshape(shape))
        self.register_buffer("bias", norm.bias.detach().reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` of rank 3."""
        return functional.layer_norm(x, x.shape[1:], eps=self.eps) * self.weight + self.bias


class PlainAttention(nn.Module):
    """``nn.MultiheadAttention`` as four projections and one scaled dot product.

    Parameters
    ----------
    attention : nn.MultiheadAttention
        An attention with one embedding width, biases and batch first.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        width = attention.embed_dim
        for name, weight, bias in zip(
            ("query", "key", "value"),
            attention.in_proj_weight.detach().split(width),
            attention.in_proj_bias.detach().split(width),
            strict=True,
        ):
            self.add_module(name, _linear(weight, bias))
        self.output = _linear(attention.out_proj.weight.detach(), attention.out_proj.bias.detach())

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: None = None,
        key_padding_mask: None = None,
        need_weights: bool = False,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """Attend; the options are those with which upstream's layers call an attention, and have to be off.

        Parameters
        ----------
        query : Tensor [1, steps, channels]
        key, value : Tensor [1, context, channels]

        Raises
        ------
        ValueError
            If an option is on.
        """
        if attn_mask is not None or key_padding_mask is not None or need_weights or is_causal:
            raise ValueError("a plain attention has no masks and gives no weights")
        heads = [
            self.get_submodule(name)(x).reshape(1, x.shape[1], self.heads, -1).permute(0, 2, 1, 3)
            for name, x in (("query", query), ("key", key), ("value", value))
        ]
        mixed = functional.scaled_dot_product_attention(*heads)
        return self.output(mixed.permute(0, 2, 1, 3).reshape(1, query.shape[1], -1)), None


def positional_embeddings_as_tables(core: InnerHTDemucs) -> None:
    """Replace the positional embeddings, computed in the graph, by small tables computed in float64.

    The graph makes the embeddings of all positions from them: tables of those are 6 MB at 7.8 s.
    """
    position = core.frequency_position
    if isinstance(position, FrequencyPosition):
        frames, bins = (
            torch.from_numpy(axis_embedding(positions, position.channels // 2, position.max_period))
            for positions in (position.frames, position.bins)
        )
        core.add_module("frequency_position", TwoDimensionalPosition(frames, bins))
    time = core.time_position
    if isinstance(time, TimePosition):
        factors = time_embedding(time.steps, time.channels, time.max_period)
        core.add_module("time_position", OneDimensionalPosition(factors))


def frequency_embedding_as_broadcast(core: InnerHTDemucs) -> None:
    """Replace the lookup of every bin's embedding by one constant that is broadcast over the frames."""
    embedding = core.frequency_embedding
    if isinstance(embedding, FrequencyEmbedding):
        scaled = embedding.embedding
        weight = scaled.get_submodule("embedding").get_parameter("weight").double()
        factor = scaled.scale * embedding.scale
        core.add_module(
            "frequency_embedding", AddConstant((weight * factor).float().t()[None, :, :, None].contiguous())
        )


def layer_scales_folded(core: InnerHTDemucs) -> None:
    """Fold each LayerScale into the last affine map or projection before it.

    In a residual branch of convolutions the scale passes back through the gated linear unit: only its first half is
    linear. Products are computed in float64 and rounded once.

    Raises
    ------
    ModelExtractionError
        If a LayerScale follows something that it cannot be folded into.
    """
    for dconv in _modules(core, DConv):
        for branch in _modules(dconv.layers, nn.Sequential):
            norm, gate, scale = branch[-3], branch[-2], branch[-1]
            if isinstance(scale, nn.Identity):
                continue
            if not (isinstance(norm, nn.GroupNorm) and isinstance(gate, nn.GLU) and isinstance(scale, LayerScale)):
                raise ModelExtractionError(f"no LayerScale can be folded in a residual branch that ends in {branch!r}")
            factors = torch.cat([scale.scale, torch.ones_like(scale.scale)])
            _scale_rows(norm, factors)
            branch[-1] = nn.Identity()
    for layer in _transformer_layers(core):
        attention = layer.get_submodule("self_attn" if hasattr(layer, "self_attn") else "cross_attn")
        output = attention.output if isinstance(attention, PlainAttention) else attention.get_submodule("out_proj")
        for name, target in (("gamma_1", output), ("gamma_2", layer.get_submodule("linear2"))):
            gamma = layer.get_submodule(name)
            if isinstance(gamma, LayerScale):
                _scale_rows(target, gamma.scale)
                layer.add_module(name, nn.Identity())


def group_norms_as_layer_norms(core: InnerHTDemucs) -> None:
    """Replace every ``GroupNorm(1, channels)`` by a layer norm over all its elements."""
    for parent, name, norm in _children(core, nn.GroupNorm):
        if norm.num_groups != 1:
            raise ModelExtractionError(f"{name} normalises {norm.num_groups} groups; only one group is a layer norm")
        parent.add_module(name, WholeLayerNorm(norm, channels_last=isinstance(norm, MyGroupNorm)))


def attention_as_projections(core: InnerHTDemucs) -> None:
    """Replace packed multi-head attention by plain projections of query, key and value.

    Raises
    ------
    ModelExtractionError
        If an attention has several embedding widths, no biases, or the batch not first.
    """
    for parent, name, attention in _children(core, nn.MultiheadAttention):
        packed = attention.in_proj_weight is not None and attention.in_proj_bias is not None
        if not (packed and attention.batch_first and attention.bias_k is None and not attention.add_zero_attn):
            raise ModelExtractionError(f"{name} is no packed attention with biases and the batch first")
        parent.add_module(name, PlainAttention(attention))


REWRITES: Mapping[str, Callable[[InnerHTDemucs], None]] = MappingProxyType(
    {
        rewrite.__name__: rewrite
        for rewrite in (
            positional_embeddings_as_tables,
            frequency_embedding_as_broadcast,
            layer_scales_folded,
            group_norms_as_layer_norms,
            attention_as_projections,
        )
    }
)
"""Every rewrite by its name, in the order in which `rewritten` applies them."""


def rewritten(core: InnerHTDemucs) -> InnerHTDemucs:
    """A copy of `core` with every rewrite of `REWRITES` applied; `core` itself is left as it is."""
    copy = deepcopy(core)
    for apply in REWRITES.values():
        apply(copy)
    return copy.eval().requires_grad_(False)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight = nn.Parameter(weight.clone(), requires_grad=False)
    linear.bias = nn.Parameter(bias.clone(), requires_grad=False)
    return linear


def _scale_rows(module: nn.Module, factors: Tensor) -> None:
    for name in ("weight", "bias"):
        parameter = module.get_parameter(name)
        shape = (-1,) + (1,) * (parameter.dim() - 1)
        scaled = (parameter.detach().double() * factors.detach().double().reshape(shape)).float()
        module.register_parameter(name, nn.Parameter(scaled, requires_grad=False))


def _modules(root: nn.Module, kind: type[_M]) -> Iterator[_M]:
    yield from (module for module in root.modules() if isinstance(module, kind))


def _children(root: nn.Module, kind: type[_M]) -> list[tuple[nn.Module, str, _M]]:
    return [
        (parent, name, child)
        for parent in root.modules()
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]


def _transformer_layers(core: InnerHTDemucs) -> Iterator[nn.Module]:
    for index in range(core.layers):
        yield core.get_submodule(f"frequency_transformer_{index}")
        yield core.get_submodule(f"time_transformer_{index}")
