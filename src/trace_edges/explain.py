"""One sheet that shows the method at work on an image: the paper's first figure, for any photo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor

from trace_edges.attention import Grid
from trace_edges.divergence import boundary_divergence
from trace_edges.images import ImageSource, load_image
from trace_edges.pipeline import TraceEdgePipeline, TraceSettings
from trace_edges.results import EdgeMap
from trace_edges.trajectory import Step
from trace_edges.visualize import contact_sheet, curve_image, grey_image, heat_image, overlay

_TILE, _COLUMNS = 300, 6


def explain(
    pipe: TraceEdgePipeline, image: ImageSource, settings: TraceSettings | None = None
) -> tuple[Image.Image, EdgeMap]:
    """Draw self-attention and ABDiv at every step, the KL curve with t*, and the edges.

    Args:
        pipe: with any backbone.
        image: one image.
        settings: how the pipeline looks.

    Returns:
        The sheet, and the edges themselves.

    Raises:
        ImageError: the image cannot be used.
    """
    picture = load_image(image)
    settings = settings or TraceSettings()
    # Every step is shown on the grid that the edges come from.
    settings = replace(settings, emergence_resolution=pipe.describe(settings)["resolution"])
    attention_row: list[tuple[str, Image.Image]] = []
    divergence_row: list[tuple[str, Image.Image]] = []
    colours: Tensor | None = None

    def draw(step: Step) -> None:
        nonlocal colours
        colours = principal_colours(step.attention[0], colours)
        attention_row.append((f"SA  t = {step.timestep}", _colour_image(colours, step.grid)))
        divergence = boundary_divergence(step.attention, step.grid, **settings.divergence)[0]
        divergence_row.append((f"ABDiv  t = {step.timestep}", heat_image(divergence.cpu().numpy())))

    result = pipe(picture, settings, on_step=draw)
    emergence, edges, thin = result.emergence, result.edges[0], result.thin[0]
    timestep = int(emergence.timestep[0])
    steps = emergence.timesteps[1:].tolist()
    curve = curve_image(steps, emergence.curve[0], timestep, (_TILE, _TILE * 3 // 4))
    top = [
        ("image", Image.fromarray(picture)),
        (f"edges at t* = {timestep}", grey_image(edges)),
        ("thin edges", grey_image(thin)),
        ("overlay", overlay(picture, thin)),
        ("emergence", curve),
    ]
    rows = [top]
    for row in (attention_row, divergence_row):
        rows += [row[start : start + _COLUMNS] for start in range(0, len(row), _COLUMNS)]
    return contact_sheet(rows, _TILE), result


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


def _colour_image(colours: Float32[Tensor, "n 3"], grid: Grid) -> Image.Image:
    """Colours of about unit spread as an RGB picture of the grid."""
    values = colours.reshape(*grid, 3).cpu().numpy()  # (h, w, 3)
    scaled: UInt8[np.ndarray, "h w 3"] = np.rint((values / 5 + 0.5).clip(0, 1) * 255).astype(
        "uint8"
    )
    return Image.fromarray(scaled)
