"""One sheet that shows why self-attention: made from a prompt, it tells instances apart where the
attention to the prompt's words does not. The paper's first figure, for any prompt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image
from torch import Tensor

from trace_edges.backbones import DiffusionBackbone
from trace_edges.drawing.visualize import contact_sheet, curve_image, heat_image, overlay
from trace_edges.explain.colours import colour_image, principal_colours
from trace_edges.explain.denoising import Denoising, Moment, PromptSettings, denoise
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.ridges import draw_edges

_TILE, _COLUMNS = 240, 6

Captioned = tuple[str, Image.Image]


def explain_prompt(
    pipeline: Any,
    backbone: DiffusionBackbone,
    prompt: str,
    settings: PromptSettings | None = None,
) -> tuple[Image.Image, Denoising]:
    """Make a picture and draw self-attention, ABDiv and the attention to every word on the way.

    Args:
        pipeline, backbone: of `load_generator`.
        prompt: for instance "two cats".
        settings: how the picture is made.

    Returns:
        The sheet, of six steps at most, the step t* among them; and how the picture came to be.

    Raises:
        ValueError, RecorderError: as `denoise`.
    """
    moments: list[list[Captioned]] = []  # of each step, a picture for every row
    divergences: list[Float32[np.ndarray, "gh gw"]] = []
    colours: Tensor | None = None

    def draw(moment: Moment) -> None:
        nonlocal colours
        at = f"t = {moment.timestep}"
        colours = principal_colours(moment.attention[0], colours)
        divergence = boundary_divergence(moment.attention, moment.grid)[0].cpu().numpy()
        divergences.append(divergence)
        shares = moment.words.cpu().numpy()
        moments.append(
            [
                (f"self-attention  {at}", colour_image(colours, moment.grid)),
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
        rows.append([(title + caption, picture) for caption, picture in row])
    return contact_sheet(rows, _TILE), made


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
    made: Denoising, divergence: Float32[np.ndarray, "gh gw"], half_edge: float
) -> list[Captioned]:
    height, width, _ = made.image.shape
    edges, ridges = draw_edges(divergence, (height, width), 1, half_edge)
    timestep = made.timesteps[made.emergence]
    thin = np.where(ridges, edges, np.float32(0))
    # From noise to picture the timesteps fall; the curve is drawn over rising ones, each change at
    # the noisier of its two steps, as in the paper.
    steps, values = made.timesteps[:-1][::-1], made.curve[::-1]
    return [
        ("picture", Image.fromarray(made.image)),
        (f"edges at t* = {timestep}", overlay(made.image, thin)),
        ("emergence", curve_image(steps, values, timestep, (_TILE * 5 // 3, _TILE * 5 // 4))),
    ]
