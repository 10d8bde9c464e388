"""Edges of the image: found, compared with it, and taken home."""

from __future__ import annotations

from typing import Any

import numpy as np

from trace_edges.explore.models import Models
from trace_edges.explore.photograph import Photograph
from trace_edges.explore.toolkit import (
    FILES_HEIGHT,
    KEPT,
    gr,
    needed,
    new_folder,
    picture,
    plain_errors,
)
from trace_edges.explore.working import in_steps
from trace_edges.formats.edge_maps import write_edge_map
from trace_edges.results import EdgeMap

_METHODS = ("one-step", "training-free")


def edges_tab(models: Models, photograph: Any, method: str) -> tuple[Any, dict[str, Any]]:
    """Draw the tab.

    Args:
        photograph: the state that holds the image.
        method: the first choice.

    Returns:
        The state that holds the `EdgeMap`, and what finds edges again, as arguments of an event.
    """
    found = gr.State(time_to_live=KEPT)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            chosen = gr.Radio(
                _METHODS,
                value=method,
                label="Method",
                elem_id="method",
                info="Training-free reads the attention itself, and is slower.",
            )
            threshold = gr.Slider(
                0, 1, 0, step=0.01, label="Hide lines weaker than", elem_id="threshold"
            )
            soft = gr.Radio(["thin", "soft"], value="thin", label="Edges alone", elem_id="soft")
            with gr.Row():
                find = gr.Button("Find edges", variant="primary", elem_id="find-edges")
                cancel = gr.Button("Cancel", elem_id="cancel-edges")
            status = gr.Markdown(elem_id="edges-facts")
            save = gr.Button("Save edges", elem_id="save-edges")
            files = gr.File(label="PNG at full size, and npz with everything", interactive=False,
                            height=FILES_HEIGHT, elem_id="edges-files")  # fmt: skip
        with gr.Column(scale=3):
            compared = gr.ImageSlider(
                label="The image, and its edges over it", format="png", interactive=False,
                buttons=["download", "fullscreen"], elem_id="compared",
            )  # fmt: skip
            alone = picture("Edges alone", "Edges, white on black", "edges-alone")

    def show(image: Photograph | None, edges: EdgeMap | None, threshold: float, soft: str) -> Any:
        if image is None or edges is None or not image.fits(edges.edges.shape[1:]):
            return None, None
        over, lines = image.drawn(edges, threshold, soft == "soft")
        return (image.shown, over), lines

    def detect(image: Photograph | None, method: str, threshold: float, soft: str) -> Any:
        with plain_errors():
            image = needed(image)
            yield None, None, None, "Loading the model ..."
            if method == "one-step":
                detector = models.one_step
                yield None, None, None, "Looking at the image ..."
                edges = detector(image.pixels)
            else:
                pipe = models.pipe
                edges = yield from in_steps(
                    lambda tell: pipe(image.pixels, on_step=lambda step: tell(step.timestep)),
                    lambda step: (None, None, None, f"Read the attention at t = {step} ..."),
                )
            yield edges, *show(image, edges, threshold, soft), f"{edges.facts}."

    def saved(
        image: Photograph | None, edges: EdgeMap | None, threshold: float, soft: str
    ) -> list[str]:
        with plain_errors():
            image, folder = needed(image), new_folder()
            if edges is None:
                raise ValueError("find edges first")
            values = edges.edges[0] if soft == "soft" else edges.thin[0]
            kept = np.where(values >= threshold, values, np.float32(0))
            write_edge_map(kept, folder / f"{image.name}.edges.png", "png")
            edges.save(folder / f"{image.name}.npz")
            return [str(path) for path in sorted(folder.iterdir())]

    shown = [compared, alone]
    again = {
        "fn": detect, "inputs": [photograph, chosen, threshold, soft],
        "outputs": [found, *shown, status], "concurrency_id": "model", "show_progress": "minimal",
    }  # fmt: skip
    running = find.click(**again)
    cancel.click(lambda: "Given up.", outputs=status, cancels=running)
    for control in (threshold, soft):
        control.change(show, [photograph, found, threshold, soft], shown, show_progress="hidden")
    save.click(saved, [photograph, found, threshold, soft], files)
    return found, again
