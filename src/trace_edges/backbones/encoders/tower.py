"""What differs between vision transformers: how they are called, and where their attention lies."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

# What projects keys, or queries, keys and values at once, in transformers and in timm.
_PROJECTION = re.compile(r"(?:.*\.)?(?:k_proj|key|qkv)")

Images = Float[Tensor, "b 3 H W"]


@dataclass(frozen=True, eq=False)
class Tower:
    """A vision transformer, ready to be read.

    Attributes:
        model: in evaluation mode.
        mean, std: of the colours in [0, 1] that it was trained with.
        cell: pixels along a side of one token.
        multiple: pixels that the sides of an image are multiples of.
        resolution: along a side, px, that it was trained at.
        layers: full names of the modules whose attention sees the whole image.
        run: (model, normalised images) -> its output.
        order: (h, w) -> places of the image's tokens in the order of the grid, row by row.
        batched: whether images share a pass.
    """

    model: Any
    mean: Float32[Tensor, "3 1 1"]
    std: Float32[Tensor, "3 1 1"]
    cell: int
    multiple: int
    resolution: int
    layers: tuple[str, ...]
    run: Callable[[Any, Images], Tensor]
    order: Callable[[int, int], Int64[Tensor, " n"]]
    batched: bool = True


def attention_layers(model: nn.Module) -> tuple[str, ...]:
    """Full names of the modules that hold self-attention, in the order of the model."""
    names = [name for name, _ in model.named_modules() if _PROJECTION.fullmatch(name)]
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in names))


def run_plain(model: Any, images: Images) -> Tensor:
    """Of transformers: images in, all tokens out, at any size."""
    known = inspect.signature(model.forward).parameters
    # Some models stretch their position embeddings to the image only when told to.
    stretch = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
    return model(images, **stretch).last_hidden_state


def run_timm(model: Any, images: Images) -> Tensor:
    """Of timm: images in, all tokens out."""
    return model.forward_features(images)


def row_by_row(h: int, w: int) -> Int64[Tensor, " n"]:
    """The order of every transformer that does not shuffle its tokens."""
    return torch.arange(h * w)


def run_qwen(model: Any, images: Images) -> Tensor:
    """Of Qwen2.5-VL: one image as a list of patches, those of 2 x 2 cells together.

    A patch holds the image twice, as two frames.
    """
    cell, merge = model.config.patch_size, model.config.spatial_merge_size
    frames = model.config.temporal_patch_size
    _, c, height, width = images.shape
    h, w = height // cell, width // cell
    patches = images.reshape(c, h // merge, merge, cell, w // merge, merge, cell)
    patches = patches.permute(1, 4, 2, 5, 0, 3, 6)  # (H', W', m, m, C, cell, cell)
    patches = patches.reshape(h * w, c, 1, cell, cell).expand(-1, -1, frames, -1, -1)
    grid = torch.tensor([[1, h, w]], device=images.device)
    return model(patches.flatten(1), grid_thw=grid).last_hidden_state


def qwen_order(config: Any) -> Callable[[int, int], Int64[Tensor, " n"]]:
    """Where Qwen2.5-VL keeps the token of a cell: window by window, in each row by row, groups of
    2 x 2 cells together.
    """
    merge = config.spatial_merge_size
    side = config.window_size // (config.patch_size * merge)  # of a window, in groups

    def order(h: int, w: int) -> Int64[Tensor, " n"]:
        groups_h, groups_w = h // merge, w // merge
        groups = [
            (row // side, column // side, row, column)
            for row in range(groups_h)
            for column in range(groups_w)
        ]
        place = {group[2:]: at for at, group in enumerate(sorted(groups))}
        return torch.tensor(
            [
                place[row // merge, column // merge] * merge**2
                + row % merge * merge
                + column % merge
                for row in range(h)
                for column in range(w)
            ]
        )

    return order
