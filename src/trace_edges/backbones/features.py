"""Hooks on a denoiser that see, in one pass, sizes of feature maps and the outputs of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from trace_edges.attention import Grid


@contextmanager
def feature_map_sizes(denoiser: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Grid]]:
    """(h, w) of the feature map (B, C, h, w) that each of these modules is given, as it comes."""
    sizes: dict[str, Grid] = {}

    def reader(name: str) -> Any:
        def read(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            hidden = inputs[0] if inputs else named["hidden_states"]
            sizes[name] = (int(hidden.shape[-2]), int(hidden.shape[-1]))

        return read

    handles = [
        denoiser.get_submodule(name).register_forward_pre_hook(reader(name), with_kwargs=True)
        for name in dict.fromkeys(names)
    ]
    try:
        yield sizes
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def block_outputs(denoiser: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What these modules return, as it is computed."""
    outputs: dict[str, Any] = {}

    def keeper(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs[name] = output

        return keep

    handles = [denoiser.get_submodule(name).register_forward_hook(keeper(name)) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
