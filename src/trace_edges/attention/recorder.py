"""Record the queries and keys of a model's self-attention while it runs, changing nothing.

Every attention module of diffusers and transformers ends in `F.scaled_dot_product_attention`
(SDPA), whatever its processor did before: norms, rotary embeddings, concatenation of text tokens.
Listening at that call therefore sees exactly what enters the softmax, for every backbone, and the
model still runs its own kernel: its output stays bit-identical. A compiled model runs uncompiled
meanwhile, and a pass in another thread waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from threading import get_ident
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from trace_edges.attention.passes import alone, modules_by_name, uncompiled

_SDPA = F.scaled_dot_product_attention

Sink = Callable[[str, Float[Tensor, "b heads n d"], Float[Tensor, "b heads n d"], float], None]


class RecorderError(ValueError):
    """Attention could not be recorded: a backend bypasses SDPA, or the selection is wrong."""


class AttentionRecorder:
    """Context manager that hands (name, q, k, scale) of every selected attention call to `sink`.

    Args:
        model: any module; it is left as it was on exit, also after an exception.
        names: full names (as in `model.named_modules()`) of the self-attention modules.
        sink: called once per module and forward pass with q and k of shape (B, heads, N, d), in
            the model's dtype, and the scale of the softmax. Must not keep q or k alive.
        differentiable: gradients may flow back through what `sink` computes, also where the model
            checkpoints its activations.

    On exit, every module must have been recorded equally often and at least once. Only passes of
    the thread that entered are recorded.

    Raises:
        RecorderError: a name is not in the model, or the counts are not equal.
    """

    def __init__(
        self, model: nn.Module, names: Iterable[str], sink: Sink, differentiable: bool = False
    ) -> None:
        modules = modules_by_name(model)
        self.calls = dict.fromkeys(names, 0)
        missing = [name for name in self.calls if name not in modules]
        if missing or not self.calls:
            raise RecorderError(
                f"{type(model).__name__} has no module {missing[0]!r}"
                if missing
                else f"no self-attention module was selected in {type(model).__name__}"
            )
        self._model = model
        self._modules = {name: modules[name] for name in self.calls}
        self._sink, self._differentiable = sink, differentiable
        self._handles: list[RemovableHandle] = []
        self._listening: list[_SDPAListener] = []
        self._pass = ExitStack()
        self._thread, self._learning = 0, False

    def __enter__(self) -> AttentionRecorder:
        self._pass.enter_context(alone(self._model))
        self._pass.enter_context(uncompiled(self._model))
        self._thread = get_ident()
        self._learning = self._differentiable and torch.is_grad_enabled()
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_pre_hook(self._start(name)))
            # always_call: the listener must leave the stack when the module raises, too.
            self._handles.append(module.register_forward_hook(self._stop, always_call=True))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        while self._listening:  # PyTorch calls no hook, not even these, after an interrupt
            self._listening.pop().__exit__(None, None, None)
        self._pass.close()
        if kind is not None:
            return
        counts = set(self.calls.values())
        if counts == {0} or len(counts) > 1:
            unseen = [name for name, count in self.calls.items() if count < max(1, *counts)]
            raise RecorderError(
                f"{len(unseen)} of {len(self.calls)} self-attention layers did not pass through "
                f"F.scaled_dot_product_attention (first: {unseen[0]!r}); "
                "switch off attention slicing, xformers and other attention backends "
                "(DIFFUSERS_ATTN_BACKEND)"
            )

    def _start(self, name: str) -> Callable[[nn.Module, Any], None]:
        def pre_hook(module: nn.Module, inputs: Any) -> None:
            if get_ident() != self._thread:
                return
            listener = _SDPAListener(lambda q, k, scale: self._record(name, q, k, scale))
            self._listening.append(listener)
            listener.__enter__()

        return pre_hook

    def _stop(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if get_ident() == self._thread:
            self._listening.pop().__exit__(None, None, None)

    def _record(self, name: str, q: Tensor, k: Tensor, scale: float | None) -> None:
        self.calls[name] += 1
        if k.shape[1] != q.shape[1]:  # grouped-query attention: every key head serves several
            k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)  # (B, heads, N, d)
        if self._learning and not torch.is_grad_enabled():
            raise RecorderError(
                "reentrant gradient checkpointing hides the attention's gradients: call "
                "enable_gradient_checkpointing() with a function that has use_reentrant=False"
            )
        with ExitStack() as within:
            within.enter_context(torch.set_grad_enabled(self._learning))
            if self._learning:  # what a checkpoint would otherwise count among its own
                within.enter_context(saved_tensors_hooks(_as_it_is, _as_it_is))
            # int: while the ONNX exporter traces, shapes are tensors.
            self._sink(name, q, k, int(q.shape[-1]) ** -0.5 if scale is None else scale)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


class _SDPAListener(TorchFunctionMode):
    """Calls back with (query, key, scale) at each SDPA call and lets the call through untouched."""

    def __init__(self, callback: Callable[[Tensor, Tensor, float | None], None]) -> None:
        super().__init__()
        self._callback = callback

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _SDPA:
            named = dict(zip(("query", "key"), args, strict=False)) | kwargs
            self._callback(named["query"], named["key"], named.get("scale"))
        return func(*args, **kwargs)
