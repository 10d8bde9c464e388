"""Sheets that show the method at work: on an image, and on one that is made from a prompt.

The second shows why self-attention: it separates instances where the attention to the prompt's
words does not. It is the paper's first figure, for any prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor

from trace_edges.attention import Grid
from trace_edges.backbones import DiffusionBackbone
from trace_edges.drawing.overlays import overlay
from trace_edges.drawing.visualize import contact_sheet, curve_image, grey_image, heat_image
from trace_edges.explain.denoising import Denoising, Moment, denoise
from trace_edges.explain.settings import PromptSettings
from trace_edges.images import ImageSource, load_image
from trace_edges.results import EdgeMap
from trace_edges.sources import Step
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import draw_edges
from trace_edges.training_free.settings import TraceSettings, is_single_pass

_TILE, _PROMPT_TILE = 300, 240  # px of a tile on either sheet
_COLUMNS = 6

Captioned = tuple[str, Image.Image]


def explain(
    pipe: TraceEdgePipeline, image: ImageSource, settings: TraceSettings | None = None
) -> tuple[Image.Image, EdgeMap]:
    """Draw self-attention and ABDiv at every step, the KL curve with t*, and the edges.

    Args:
        pipe: with any backbone.
        image: one image.
        settings: of the pipeline.

    Returns:
        The sheet, and the edges themselves.

    Raises:
        ImageError: the image cannot be used.
    """
    pixels = load_image(image)
    settings = settings or TraceSettings()
    # Every step is shown on the grid that the edges come from.
    if not is_single_pass(pipe.backbone):
        settings = replace(settings, emergence_resolution=pipe.describe(settings)["resolution"])
    attention_row: list[Captioned] = []
    divergence_row: list[Captioned] = []
    colours = MapColours()

    def draw(step: Step) -> None:
        attention = colours.draw(step.attention[0], step.grid)
        attention_row.append((f"SA  t = {step.timestep}", attention))
        divergence = boundary_divergence(step.attention, step.grid, **settings.divergence)[0]
        divergence_row.append((f"ABDiv  t = {step.timestep}", heat_image(divergence.cpu().numpy())))

    result = pipe(pixels, settings, on_step=draw)
    emergence, edges, thin = result.emergence, result.edges[0], result.thin[0]
    assert emergence is not None
    timestep = int(emergence.timestep[0])
    steps = emergence.timesteps[1:].tolist()
    curve = curve_image(steps, emergence.curve[0], timestep, (_TILE, _TILE * 3 // 4))
    top = [
        ("image", Image.fromarray(pixels)),
        (f"edges at t* = {timestep}", grey_image(edges)),
        ("thin edges", grey_image(thin)),
        ("overlay", overlay(pixels, thin)),
        ("emergence", curve),
    ]
    rows = [top]
    for row in (attention_row, divergence_row):
        rows += [row[start : start + _COLUMNS] for start in range(0, len(row), _COLUMNS)]
    return contact_sheet(rows, _TILE), result


def explain_prompt(
    pipeline: Any,
    backbone: DiffusionBackbone,
    prompt: str,
    settings: PromptSettings | None = None,
    on_step: Callable[[int], None] | None = None,
) -> tuple[Image.Image, Denoising]:
    """Make an image and draw self-attention, ABDiv and the attention to every word on the way.

    Args:
        pipeline, backbone: of `load_generator`.
        prompt: for instance "two cats".
        settings: how the image is made.
        on_step: called with the timestep of every step.

    Returns:
        The sheet, of six steps at most, the step t* among them; and how the image came to be.

    Raises:
        ValueError, RecorderError: as `denoise`.
    """
    moments: list[list[Captioned]] = []  # of each step, a tile for every row
    divergences: list[Float32[np.ndarray, "gh gw"]] = []
    colours = MapColours()

    def draw(moment: Moment) -> None:
        if on_step is not None:
            on_step(moment.timestep)
        at = f"t = {moment.timestep}"
        divergence = boundary_divergence(moment.attention, moment.grid)[0].cpu().numpy()
        divergences.append(divergence)
        shares = moment.words.cpu().numpy()
        moments.append(
            [
                (f"self-attention  {at}", colours.draw(moment.attention[0], moment.grid)),
                (f"ABDiv  {at}", heat_image(divergence)),
                *((f"{_percent(s)}  {at}", heat_image(s - s.min())) for s in shares),
            ]
        )

    made = denoise(pipeline, backbone, prompt, settings, draw)
    star = made.emergence
    rows = [_summary(made, divergences[star], backbone.defaults.half_edge)]
    shown = [moments[step] for step in shown_steps(len(moments), star)]
    titles = ["", "", *(f'"{word}": ' for word in made.words)]
    for title, row in zip(titles, zip(*shown, strict=True), strict=True):
        rows.append([(title + caption, tile) for caption, tile in row])
    return contact_sheet(rows, _PROMPT_TILE), made


def shown_steps(steps: int, star: int) -> list[int]:
    """At most six of the steps, evenly from the first to the last, with `star` in the place of the
    nearest.
    """
    shown = np.unique(np.linspace(0, steps - 1, min(steps, _COLUMNS)).round().astype(int))
    shown[np.abs(shown - star).argmin()] = star
    return shown.tolist()


def _percent(shares: Float32[np.ndarray, "h w"]) -> str:
    return f"{100 * shares.min():.2g} to {100 * shares.max():.2g} %"


def _summary(
    made: Denoising, divergence: Float32[np.ndarray, "gh gw"], half_edge: float | None
) -> list[Captioned]:
    height, width, _ = made.image.shape
    edges, ridges = draw_edges(divergence, (height, width), 1, half_edge)
    timestep = made.timesteps[made.emergence]
    thin = np.where(ridges, edges, np.float32(0))
    # From noise to image the timesteps fall; the curve is drawn over rising ones, each change at
    # the noisier of its two steps, as in the paper.
    steps, values = made.timesteps[:-1][::-1], made.curve[::-1]
    curve = curve_image(steps, values, timestep, (_PROMPT_TILE * 5 // 3, _PROMPT_TILE * 5 // 4))
    return [
        ("picture", Image.fromarray(made.image)),
        (f"edges at t* = {timestep}", overlay(made.image, thin)),
        ("emergence", curve),
    ]


class MapColours:
    """Self-attention maps of one trajectory as colours: tokens that attend to the same things have
    the same colour, and a thing keeps its colour from step to step.
    """

    def __init__(self) -> None:
        self._before: Tensor | None = None

    def draw(self, attention: Float32[Tensor, "n n"], grid: Grid) -> Image.Image:
        """The map of the next step as an RGB image of the grid."""
        self._before = colours = principal_colours(attention, self._before)
        values = colours.reshape(*grid, 3).cpu().numpy()  # (h, w, 3), of about unit spread
        scaled: UInt8[np.ndarray, "h w 3"] = np.rint((values / 5 + 0.5).clip(0, 1) * 255).astype(
            "uint8"
        )
        return Image.fromarray(scaled)


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
