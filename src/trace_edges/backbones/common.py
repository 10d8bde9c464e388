"""What every kind of backbone does alike: choosing layers, and telling its weights by a digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from hashlib import blake2b
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

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
    for whole, value in tensors.items():
        for name, tensor in _plain(whole, value.detach()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            sample = tensor.flatten()[:: max(1, tensor.numel() // _SAMPLE)]
            digest.update(sample.double().cpu().numpy().tobytes())


def _plain(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The tensor; of one that wraps others, as torchao's quantised weights do, those within."""
    if not is_traceable_wrapper_subclass(tensor):
        yield name, tensor
        return
    for part in tensor.__tensor_flatten__()[0]:
        yield from _plain(f"{name}.{part}", getattr(tensor, part))
