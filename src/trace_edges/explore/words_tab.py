"""An image made from a prompt: self-attention beside the attention to each of its words."""

from __future__ import annotations

from typing import Any

from trace_edges.explain import PromptSettings, explain_prompt
from trace_edges.explore.models import Models
from trace_edges.explore.toolkit import gr, picture, plain_errors
from trace_edges.explore.working import in_steps


def words_tab(models: Models) -> None:
    """Draw the tab."""
    with gr.Row():
        prompt = gr.Textbox(label="Prompt", placeholder="two cats on a sofa", scale=4,
                            max_length=500, elem_id="prompt")  # fmt: skip
        steps = gr.Slider(0, 100, 0, step=1, label="Steps (0: as many as the pipeline takes)",
                          elem_id="steps")  # fmt: skip
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
    with gr.Row():
        make = gr.Button("Make an image", variant="primary", elem_id="make")
        cancel = gr.Button("Cancel", elem_id="cancel-words")
    status = gr.Markdown(
        "For backbones with a text encoder, such as `--backbone sd15`; trace-mini has none.",
        elem_id="words-facts",
    )
    sheet = picture("Self-attention tells instances apart, words do not",
                    "Self-attention, ABDiv and words at six steps", "sheet")  # fmt: skip

    def run(prompt: str, steps: int, seed: int | None) -> Any:
        with plain_errors():
            yield None, "Loading the model ..."
            pipeline, backbone = models.generator
            settings = PromptSettings(steps=steps or None, seed=seed or 0)
            drawn, made = yield from in_steps(
                lambda tell: explain_prompt(pipeline, backbone, prompt, settings, tell),
                lambda timestep: (None, f"At t = {timestep} ..."),
            )
            yield drawn, f"t* = {made.timesteps[made.emergence]}."

    running = make.click(run, [prompt, steps, seed], [sheet, status], concurrency_id="model",
                         show_progress="minimal")  # fmt: skip
    cancel.click(lambda: "Given up.", outputs=status, cancels=running)
