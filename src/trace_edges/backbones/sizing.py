"""The cost of a model, found out without its weights: parameters, operations, memory, and the
resolution that would fit where memory ran out.

Models are made on torch's `meta` device, where tensors have shapes and no values, and run there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
import torch.nn.functional as F
from accelerate.hooks import remove_hook_from_module
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from trace_edges.backbones.backbone import Backbone
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.encoders.encoder import EncoderBackbone
from trace_edges.backbones.latents import weights_dtype
from trace_edges.backbones.problems import out_of_memory
from trace_edges.backbones.sources import family_of_checkpoint

_TIMESTEP = 100  # any does
_STEP = 64  # px between the resolutions that are tried
_RESERVE = 0.1  # of the memory, for kernels and what the allocator cannot use
_GIB = 2**30


def empty_backbone(name: str, dtype: torch.dtype = torch.bfloat16) -> DiffusionBackbone:
    """A named checkpoint without its weights, on the meta device.

    Args:
        name: of `CHECKPOINTS`.
    """
    family = family_of_checkpoint(name)
    schedule = family.schedule(family.noise_scheduler(name))
    with torch.device("meta"):
        denoiser = getattr(diffusers, family.denoiser_class)(**family.denoiser_config(name))
        vae = getattr(diffusers, family.autoencoder.name)(**family.vae_config)
        for model, kind in ((denoiser, dtype), (vae, family.vae_dtype(dtype))):
            nn.Module.to(model, kind)  # diffusers' own `to` would warn
        shapes = family.condition(denoiser.config)
        null = {key: torch.zeros(shape, dtype=dtype) for key, shape in shapes.items()}
    return DiffusionBackbone(name, family, denoiser, vae, schedule, null)


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
    tensors = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in model.parameters()
    }
    buffers = {id(b): torch.empty_like(b, device="meta") for b in model.buffers()}
    return remove_hook_from_module(deepcopy(model, tensors | buffers), recurse=True)


def parameter_count(model: nn.Module) -> int:
    """Number of all its weights."""
    return sum(parameter.numel() for parameter in model.parameters())


def weight_bytes(backbone: Backbone) -> int:
    """Bytes of denoiser and VAE, or of the encoder, as they are held."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _weights(backbone))


@torch.no_grad()
def flops(backbone: DiffusionBackbone, size: tuple[int, int], *, capture: bool = False) -> int:
    """Operations (two for a multiply and add) of one pass over one image.

    Args:
        backbone: on the meta device.
        size: (H, W) in px.
        capture: also those of the attention maps.
    """
    latents = _latents(backbone, size)
    run = backbone.attend if capture else backbone.predict
    with _PlainValues(), FlopCounterMode(display=False) as counter:
        run(latents, _TIMESTEP)
    return counter.get_total_flops()


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
    with _live_bytes(_weights(backbone)) as encoding:
        latents = backbone.encode(images)
    with _live_bytes(_weights(backbone)) as step:
        steps = backbone.schedule.levels[:2]  # an encoder has a single one
        alive = [backbone.attend(latents, _TIMESTEP) for _ in steps]
        del alive
    return Memory(weight_bytes(backbone), encoding.peak, step.peak)


def _weights(backbone: Backbone) -> list[Tensor]:
    return [
        tensor for model in backbone.models for tensor in [*model.parameters(), *model.buffers()]
    ]


def _latents(backbone: DiffusionBackbone, size: tuple[int, int], batch: int = 1) -> Tensor:
    h, w = (side // backbone.cell * backbone.patch for side in size)
    return torch.zeros(batch, backbone.channels, h, w, device="meta")


@contextmanager
def explained_memory(backbone: Backbone, size: tuple[int, int], batch: int = 1) -> Iterator[None]:
    """Turn running out of memory into one line with the resolution that would fit.

    Args:
        size: (H, W) in px of what the model sees within.
        batch: images of a pass.

    Raises:
        BackboneError: the device's memory was not enough.
    """
    with out_of_memory(lambda: _advice(backbone, size, batch)):
        yield


def _advice(backbone: Backbone, size: tuple[int, int], batch: int) -> str:
    device = backbone.device
    available = available_memory(device)
    height, width = size
    line = f"{backbone.name} ran out of memory on {device} at {height} x {width} px"
    line += f", {batch} images a pass" if batch > 1 else ""
    if available is None:
        return f"{line}: ask for a smaller resolution"
    line += f" ({available / _GIB:.1f} GiB)"
    if batch > 1:
        return f"{line}: ask for fewer images a pass, or a smaller resolution"
    if (fits := fitting_resolution(backbone, size, available)) is not None:
        return f"{line}: a resolution of {fits} would fit"
    return (
        f"{line}: its weights alone take {weight_bytes(backbone) / _GIB:.1f} GiB; load it in "
        "bfloat16, enable_model_cpu_offload(), or take a smaller model"
    )


def fitting_resolution(backbone: Backbone, size: tuple[int, int], available: int) -> int | None:
    """The largest resolution, in steps of 64 px, at which an image of this shape needs no more.

    Args:
        size: (H, W) of the image, of which the shape counts.
        available: bytes.

    Returns:
        sqrt(H * W) in px, smaller than that of `size`; None: the smallest is too large as well.
    """
    empty, weights = emptied(backbone), weight_bytes(backbone)
    height, width = size
    current = (height * width) ** 0.5
    low, high = 0, max(0, -(-int(current) // _STEP) - 1)  # steps: `low` fits, all above `high` fail

    while low < high:
        middle = (low + high + 1) // 2
        scale = middle * _STEP / current
        tried = tuple(
            max(1, round(side * scale / backbone.multiple)) * backbone.multiple
            for side in (height, width)
        )
        needed = memory(empty, (tried[0], tried[1]))
        fits = weights + needed.peak - needed.weights <= available * (1 - _RESERVE)
        low, high = (middle, high) if fits else (low, middle - 1)
    return low * _STEP or None


def available_memory(device: torch.device) -> int | None:
    """Bytes on the device that this process may have, with what it has; None: not known."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device)


class _Live(TorchDispatchMode):
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


class _PlainValues(TorchFunctionMode):
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
def _live_bytes(before: Iterable[Tensor]) -> Iterator[_Live]:
    with _PlainValues(), _FusedAttention(), _Live(before) as live:
        yield live
