"""Capture of the core's operations by PyTorch, without computing the network.

``torch.jit.trace`` records which operations run, not what they give. Beneath it a dispatch mode answers every operation
on activations with a stand-in of the right shape, so that a capture takes neither the time nor the memory of a
prediction. Operations on sizes and on parameters alone are computed, because the graph may hold their results.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from htdemucs_coreml.core.inner import InnerHTDemucs

_CUDNN_OPTIONS = {"benchmark": False, "deterministic": False, "cudnn_enabled": False, "allow_tf32": False}


def captured(core: InnerHTDemucs) -> torch.jit.ScriptModule:
    """Record the operations of a core.

    Parameters
    ----------
    core : InnerHTDemucs
        The core; its parameters are shared with the result, not copied.

    Raises
    ------
    RuntimeError
        If the core asks for the value of an activation, on which a graph cannot depend.
    """
    with _stand_ins() as stand_ins, torch.no_grad(), stand_ins:
        examples = tuple(
            stand_ins.of_form(_Form(shape, torch.float32)) for shape in core.contract.input_shapes.values()
        )
        module: torch.jit.ScriptModule = torch.jit.trace(core, examples, check_trace=False)
        return module


@dataclass(frozen=True)
class _Form:
    """What is known of a result that is not computed."""

    sizes: tuple[int, ...]
    dtype: torch.dtype


class _StandIns(TorchDispatchMode):
    """Answers operations on stand-ins with stand-ins: tensors of any shape that, type by type, share one zero.

    Parameters
    ----------
    elsewhere : ThreadPoolExecutor
        Where shapes are computed. PyTorch traces one thread, and in a traced thread sizes are tensors, which the
        functions that compute shapes do not take.
    """

    def __init__(self, elsewhere: ThreadPoolExecutor) -> None:
        # PyTorch's constructor has no types.
        super().__init__()  # type: ignore[no-untyped-call]
        self._elsewhere = elsewhere
        self._zeros: dict[torch.dtype, Tensor] = {}

    def of_form(self, form: _Form) -> Tensor:
        """A stand-in for an activation."""
        return self._zeros.setdefault(form.dtype, torch.zeros((), dtype=form.dtype)).expand(form.sizes)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer one operation with whatever it returns."""
        del types
        named = dict(kwargs or {})
        if not any(self._is_stand_in(leaf) for leaf in tree_leaves((args, named))):
            return func(*args, **named)
        if func is torch.ops.aten.convolution.default:
            # PyTorch records a convolution only where this operation, in turn, asks for the one below it.
            with torch.overrides.enable_reentrant_dispatch(), self:
                return torch.ops.aten._convolution.default(*args, **named, **_CUDNN_OPTIONS)
        forms = self._elsewhere.submit(_forms_of_results, func, args, named).result()
        return tree_map_only(_Form, self.of_form, forms)

    def _is_stand_in(self, value: object) -> bool:
        return isinstance(value, Tensor) and any(
            value.untyped_storage().data_ptr() == zero.data_ptr() for zero in self._zeros.values()
        )


@contextmanager
def _stand_ins() -> Iterator[_StandIns]:
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        yield _StandIns(elsewhere)


def _forms_of_results(func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> object:
    """What an operation returns, with forms in place of tensors."""
    with torch.no_grad():
        meta_args, meta_named = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, named))
        return tree_map_only(Tensor, _form, func(*meta_args, **meta_named))


def _form(tensor: Tensor) -> _Form:
    return _Form(tuple(tensor.shape), tensor.dtype)
