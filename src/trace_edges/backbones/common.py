"""What every kind of backbone does alike: choosing layers, and telling its weights by a digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from hashlib import blake2b
from typing import Any, TypeVar

from torch import Tensor

_SAMPLE = 1024  # values of each tensor that the digest looks at

Backbone = TypeVar("Backbone", bound=Any)


def reading(backbone: Backbone, layers: Sequence[int] | None) -> Backbone:
    """The same model, with `attend` averaging these of its `layers` only (None: all of them).

    Raises:
        ValueError: there is no such layer.
    """
    if layers is None:
        return backbone
    if unknown := [index for index in layers if not 0 <= index < len(backbone.layers)]:
        raise ValueError(
            f"{backbone.name} has no layer {unknown[0]}; its self-attention layers are "
            f"0 .. {len(backbone.layers) - 1}"
        )
    chosen = copy(backbone)
    chosen.layers = [backbone.layers[index] for index in layers]
    return chosen


def weights_fingerprint(parts: tuple[Any, ...], tensors: Mapping[str, Tensor]) -> str:
    """A digest of plain values, and of a sample of each tensor with its name and shape."""
    digest = blake2b(repr(parts).encode(), digest_size=16)
    add_weights(digest, tensors)
    return digest.hexdigest()


def add_weights(digest: blake2b, tensors: Mapping[str, Tensor]) -> None:
    """Feed a digest with a sample of each tensor, and its name and shape, from any device."""
    for name, tensor in tensors.items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        sample = tensor.detach().flatten()[:: max(1, tensor.numel() // _SAMPLE)]
        digest.update(sample.double().cpu().numpy().tobytes())
