"""Self-attention as colours: tokens that look at the same things get the same colour."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor

from trace_edges.attention import Grid


def principal_colours(
    attention: Float32[Tensor, "n n"], like: Float32[Tensor, "n 3"] | None = None
) -> Float32[Tensor, "n 3"]:
    """The rows of a self-attention map as colours: their first three principal components.

    Components come with arbitrary sign and order; `like` (the colours of the step before) turns
    them to agree with it, so that a thing keeps its colour along the trajectory.
    """
    centred = attention - attention.mean(dim=0)
    with torch.random.fork_rng(devices=[]):  # pca_lowrank draws a random start
        torch.manual_seed(0)
        u, s, _ = torch.pca_lowrank(centred, q=min(6, *attention.shape), center=False)
    colours = (u * s)[:, :3]
    colours = torch.nn.functional.pad(colours, (0, 3 - colours.shape[1]))  # (N, 3)
    colours = colours / colours.std(dim=0).clamp_min(torch.finfo(torch.float32).tiny)
    if like is None:
        return colours
    left, _, right = torch.linalg.svd(colours.T @ like)  # orthogonal Procrustes
    return colours @ (left @ right)


def colour_image(colours: Float32[Tensor, "n 3"], grid: Grid) -> Image.Image:
    """Colours of about unit spread as an RGB picture of the grid."""
    values = colours.reshape(*grid, 3).cpu().numpy()  # (h, w, 3)
    scaled: UInt8[np.ndarray, "h w 3"] = np.rint((values / 5 + 0.5).clip(0, 1) * 255).astype(
        "uint8"
    )
    return Image.fromarray(scaled)
