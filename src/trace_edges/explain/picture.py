"""One sheet that shows the method at work on a photograph."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image
from torch import Tensor

from trace_edges.drawing.visualize import (
    contact_sheet,
    curve_image,
    grey_image,
    heat_image,
    overlay,
)
from trace_edges.explain.colours import colour_image, principal_colours
from trace_edges.images import ImageSource, load_image
from trace_edges.results import EdgeMap
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings
from trace_edges.training_free.trajectory import Step

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
    if not pipe.looks_once:
        settings = replace(settings, emergence_resolution=pipe.describe(settings)["resolution"])
    attention_row: list[tuple[str, Image.Image]] = []
    divergence_row: list[tuple[str, Image.Image]] = []
    colours: Tensor | None = None

    def draw(step: Step) -> None:
        nonlocal colours
        colours = principal_colours(step.attention[0], colours)
        attention_row.append((f"SA  t = {step.timestep}", colour_image(colours, step.grid)))
        divergence = boundary_divergence(step.attention, step.grid, **settings.divergence)[0]
        divergence_row.append((f"ABDiv  t = {step.timestep}", heat_image(divergence.cpu().numpy())))

    result = pipe(picture, settings, on_step=draw)
    emergence, edges, thin = result.emergence, result.edges[0], result.thin[0]
    assert emergence is not None
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
