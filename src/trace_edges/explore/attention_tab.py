"""Where each place of the image looks, at every step of the trajectory."""

from __future__ import annotations

from typing import Any

from trace_edges.drawing.visualize import curve_step, heat_image
from trace_edges.explore.models import Models
from trace_edges.explore.photograph import Photograph
from trace_edges.explore.recording import Recording, record
from trace_edges.explore.toolkit import KEPT, SelectData, gr, needed, picture, plain_errors
from trace_edges.explore.working import in_steps
from trace_edges.training_free.settings import TraceSettings, attention_only

_CURVE = (640, 300)  # px
_COARSE, _FINE = "coarse: seconds", "as the edges: slower"


def attention_tab(models: Models, photograph: Any) -> None:
    """Draw the tab.

    Args:
        photograph: the state that holds the image.
    """
    recording = gr.State(time_to_live=KEPT)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            grid = gr.Radio([_COARSE, _FINE], value=_COARSE, label="Grid", elem_id="grid")
            with gr.Row():
                read = gr.Button("Read attention", variant="primary", elem_id="read-attention")
                cancel = gr.Button("Cancel", elem_id="cancel-attention")
            status = gr.Markdown(elem_id="attention-facts")
            step = gr.Radio([], label="Timestep", elem_id="timestep")
            across = gr.Slider(
                0, 100, 50, step=0.1, label="Place: % from the left", elem_id="across"
            )
            down = gr.Slider(0, 100, 50, step=0.1, label="Place: % from the top", elem_id="down")
        with gr.Column(scale=3):
            # fmt: off
            with gr.Row():
                looked = picture("Click a place: the image glows where it looks",
                                 "The image, bright where the chosen place looks", "looked")
                curve = picture("Click a step", "Change of self-attention between steps, t* marked",
                                "curve", show_label=False)
            with gr.Row():
                colours = picture("Self-attention: like colours look at like places",
                                  "Principal components of self-attention as colours", "colours")
                divergence = picture("ABDiv: bright where neighbours look at different places",
                                     "Attention boundary divergence of the step", "divergence")
            # fmt: on

    def look(
        image: Photograph | None, found: Recording | None, step: int | None, across: float,
        down: float,
    ) -> Any:  # fmt: skip
        if image is None or found is None or step not in found.timesteps:
            return (None,) * 3
        index = found.timesteps.index(step)
        cell = found.place(across / 100, down / 100)
        size = image.shown.shape[1], image.shown.shape[0]
        return (
            image.heated(found.row(index, cell)),
            found.colours[index].resize(size, 0),
            heat_image(found.divergence[index]).resize(size, 0),
        )

    def run(image: Photograph | None, grid: str, across: float, down: float) -> Any:
        with plain_errors():
            image = needed(image)
            nothing = (None, None, None, gr.skip())
            yield None, gr.skip(), "Loading the model ...", *nothing
            pipe = models.pipe
            settings = TraceSettings(subcell=1)
            if grid == _COARSE:
                settings = attention_only(settings, pipe.describe(settings))
            found = yield from in_steps(
                lambda tell: record(pipe, image.pixels, settings, tell),
                lambda step: (None, gr.skip(), f"Step {step + 1} ...", *nothing),
            )
            timestep = found.timesteps[found.emergence]
            steps = gr.Radio([(_name(t, timestep), t) for t in found.timesteps], value=timestep)
            told = f"{len(found.timesteps)} steps on a grid of {found.grid[0]} x {found.grid[1]}."
            yield (
                found, steps, told, *look(image, found, timestep, across, down),
                found.edges.emergence and found.edges.emergence.plot(size=_CURVE),
            )  # fmt: skip

    def click(image: Photograph | None, event: SelectData) -> Any:
        if image is None:
            return gr.skip(), gr.skip()
        height, width, _ = image.shown.shape
        return [
            round(100 * at / side, 1) for at, side in zip(event.index, (width, height), strict=True)
        ]

    def choose(found: Recording | None, event: SelectData) -> Any:
        if found is None:
            return gr.skip()
        return curve_step(event.index[0], found.timesteps, _CURVE[0])

    pictures = [looked, colours, divergence]
    # Nothing of the image before is left when another one is chosen.
    photograph.change(
        lambda: (None, gr.Radio([]), "", None, None, None, None),
        outputs=[recording, step, status, *pictures, curve], show_progress="hidden",
    )  # fmt: skip
    running = read.click(
        run, [photograph, grid, across, down], [recording, step, status, *pictures, curve],
        concurrency_id="model", show_progress="minimal",
    )  # fmt: skip
    cancel.click(lambda: "Given up.", outputs=status, cancels=running)
    for control in (step, across, down):
        control.change(
            look, [photograph, recording, step, across, down], pictures, show_progress="hidden"
        )
    looked.select(click, photograph, [across, down], show_progress="hidden")
    curve.select(choose, recording, step, show_progress="hidden")


def _name(timestep: int, emergence: int) -> str:
    return f"t* = {timestep}" if timestep == emergence else str(timestep)
