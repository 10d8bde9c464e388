"""The base of every backbone, whatever its model, and a digest that tells weights apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from hashlib import blake2b
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from trace_edges.attention import Grid
from trace_edges.backbones.latents import execution_device, weights_dtype
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.schedules import Schedule, StillSchedule
from trace_edges.backbones.specs import Defaults

_SAMPLE = 1024  # values of each tensor that the digest reads

B = TypeVar("B", bound="Backbone")


class Backbone(ABC):
    """A model whose self-attention is read; it draws nothing at random.

    Attributes:
        name: what the user asked for (a name, hub id or folder), recorded in results.
        layers: names of the self-attention modules that `attend` averages.
        cell: image pixels along a side of one attention token.
        multiple: pixels that the sides of what it sees are multiples of.
        schedule: the noise of each step.
        loaded_with: options it was loaded with on which its answers depend; recorded in results.
        defaults: settings stored with the checkpoint; else the resolution it was trained at.
    """

    name: str
    layers: list[str]
    cell: int
    multiple: int
    schedule: Schedule | StillSchedule
    loaded_with: dict[str, str | bool | None]
    defaults: Defaults

    @property
    @abstractmethod
    def models(self) -> tuple[nn.Module, ...]:
        """All that has weights; the first holds the attention."""

    @property
    def device(self) -> torch.device:
        """Device the model runs on: that of its weights, or the one they are moved to for it."""
        return execution_device(self.models[0])

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the weights, or of the activations where these are quantised; softmax and
        everything after it are float32.
        """
        return weights_dtype(self.models[0])

    def to(self: B, device: str | torch.device) -> B:
        """Move the weights; returns itself, as torch modules do."""
        for model in self.models:
            model.to(device)
        return self

    @abstractmethod
    def enable_model_cpu_offload(self: B, device: str | torch.device = "cuda") -> B:
        """Keep the weights in the computer's memory, and each model on `device` only while it runs;
        returns itself.
        """

    def reading(self: B, layers: Sequence[int] | None) -> B:
        """The same model, with `attend` averaging these of its `layers` only (None: all of them).

        Raises:
            ValueError: there is no such layer.
        """
        if layers is None:
            return self
        if unknown := [index for index in layers if not 0 <= index < len(self.layers)]:
            raise ValueError(
                f"{self.name} has no layer {unknown[0]}; its self-attention layers are "
                f"0 .. {len(self.layers) - 1}"
            )
        chosen = copy(self)
        chosen.layers = [self.layers[index] for index in layers]
        return chosen

    @abstractmethod
    def fingerprint(self) -> str:
        """Equal for models that give equal maps on the same kind of device."""

    def check_finite(self, values: Tensor, stage: str) -> None:
        """Refuse what a number type was too small for, or damaged weights give.

        Args:
            values: of the model.
            stage: what they are, for the message.

        Raises:
            BackboneError: one is NaN or infinite.
        """
        if not values.isfinite().all():
            kind = str(self.dtype).removeprefix("torch.")
            raise BackboneError(
                f"{self.name}: {stage} is not finite in {kind}: try --dtype bfloat16 or float32"
            )

    @abstractmethod
    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Float32[Tensor, "b c h w"]:
        """Latents of images in [-1, 1] whose sides are multiples of `multiple`."""

    @abstractmethod
    def predict(self, latents: Float[Tensor, "b c h w"], timestep: int) -> Tensor:
        """The model's output at this timestep."""

    @abstractmethod
    def attend(
        self, latents: Float[Tensor, "b c h w"], timestep: int
    ) -> tuple[Tensor, Float32[Tensor, "b n n"], Grid]:
        """One pass: the model's output, SA(X_t) averaged over heads and layers, and its grid.

        Raises:
            RecorderError: a layer's attention did not pass through SDPA, so the map would lack it.
        """


def weights_fingerprint(parts: tuple[Any, ...], tensors: Mapping[str, Tensor]) -> str:
    """A digest of plain values, and of a sample of each tensor with its name and shape."""
    digest = blake2b(repr(parts).encode(), digest_size=16)
    add_weights(digest, tensors)
    return digest.hexdigest()


def add_weights(
    digest: blake2b, tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None
) -> None:
    """Feed a digest with a sample of each tensor, and its name and shape, from any device.

    Args:
        dtype: what floating values are rounded to before; None: they are taken as they are.
    """
    for whole, value in tensors.items():
        for name, tensor in _plain(whole, value.detach()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            sample = tensor.flatten()[:: max(1, tensor.numel() // _SAMPLE)]
            # Doubled on the CPU: MPS knows no float64.
            sample = sample.cpu()
            if dtype is not None and sample.is_floating_point():
                sample = sample.to(dtype)
            digest.update(sample.double().numpy().tobytes())


def _plain(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The tensor; of one that wraps others, as torchao's quantised weights do, those within."""
    if not is_traceable_wrapper_subclass(tensor):
        yield name, tensor
        return
    for part in tensor.__tensor_flatten__()[0]:
        yield from _plain(f"{name}.{part}", getattr(tensor, part))
