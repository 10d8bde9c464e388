"""The memory that a model takes, found out without its weights.

Models are made on torch's `meta` device, where tensors have shapes and no values, and run there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from trace_edges.backbones.backbone import Backbone
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.encoders.encoder import EncoderBackbone
from trace_edges.backbones.latents import weights_dtype

_TIMESTEP = 100  # any does


def emptied(backbone: Backbone) -> Backbone:
    """The same model without weights, on the meta device."""
    empty = copy(backbone)
    if isinstance(empty, EncoderBackbone):
        empty.model = _without_weights(empty.model)
    elif isinstance(empty, DiffusionBackbone):
        empty.denoiser, empty.vae = map(_of_config, backbone.models)
    return empty


def _of_config(model: Any) -> nn.Module:
    with torch.device("meta"):
        empty = type(model).from_config(model.config)
    return nn.Module.to(empty, weights_dtype(model)).eval()  # diffusers' own `to` would warn


def _without_weights(model: nn.Module) -> nn.Module:
    """A copy of a model that may have no config to be made from; its weights are not copied."""
    from accelerate.hooks import remove_hook_from_module

    tensors = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in model.parameters()
    }
    buffers = {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    return remove_hook_from_module(deepcopy(model, tensors | buffers), recurse=True)


def weight_bytes(backbone: Backbone) -> int:
    """Bytes of denoiser and VAE, or of the encoder, as they are held."""
    return sum(tensor.numel() * tensor.element_size() for tensor in weights_and_buffers(backbone))


@dataclass(frozen=True)
class Memory:
    """Bytes on the device.

    Attributes:
        weights: of denoiser and VAE, or of the encoder.
        encoding: alive at once while the image becomes a latent, beside the weights.
        step: alive at once in a step of the trajectory: activations, the maps of this step and of
            the one before, if there was one.
    """

    weights: int
    encoding: int
    step: int

    @property
    def peak(self) -> int:
        return self.weights + max(self.encoding, self.step)


@torch.no_grad()
def memory(backbone: Backbone, size: tuple[int, int], batch: int = 1) -> Memory:
    """Bytes that are alive at one time, on a device whose attention kernel keeps no map of its own.

    Memory that the allocator and the kernels hold beyond that comes on top.

    Args:
        backbone: on the meta device.
        size: (H, W) in px.
    """
    images = torch.zeros(batch, 3, *size, device="meta")
    with _live_bytes(weights_and_buffers(backbone)) as encoding:
        latents = backbone.encode(images)
    with _live_bytes(weights_and_buffers(backbone)) as step:
        steps = backbone.schedule.levels[:2]  # an encoder has a single one
        alive = [backbone.attend(latents, _TIMESTEP) for _ in steps]
        del alive
    return Memory(weight_bytes(backbone), encoding.peak, step.peak)


def weights_and_buffers(backbone: Backbone) -> list[Tensor]:
    """All tensors that a backbone holds."""
    return [
        tensor for model in backbone.models for tensor in [*model.parameters(), *model.buffers()]
    ]


class LiveBytes(TorchDispatchMode):
    """Adds up the bytes of the storages that are alive, of those made within."""

    def __init__(self, before: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in before}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **kwargs or {})
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return output

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._known or storage.device.type != "meta":
            return
        self._known.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class PlainValues(TorchFunctionMode):
    """Keeps the values of what is made from plain numbers, as sizes of images are: the encoder of
    Qwen2.5-VL takes its windows from them. Where they meet tensors without values they lose them,
    as masks of attention do that had to have values before.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == "meta":
            return func(*args, **kwargs | {"device": "cpu"})
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        met = {tensor.device.type for tensor in leaves} > {"meta"}
        if met and func is not Tensor.__getitem__:  # which takes places with their values
            args, kwargs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        return func(*args, **kwargs)


class _FusedAttention(TorchFunctionMode):
    """Attention as a fused kernel has it: no map, only its output."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            query, value = named["query"], named["value"]
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **kwargs)


@contextmanager
def _live_bytes(before: Iterable[Tensor]) -> Iterator[LiveBytes]:
    with PlainValues(), _FusedAttention(), LiveBytes(before) as live:
        yield live
