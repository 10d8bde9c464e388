"""How an image is made from a prompt: plain values, which the command line reads without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PromptSettings:
    """How an image is made, with --prompt.

    Attributes:
        height: Height of the image in pixels, rounded to whole cells of the attention grid. None:
            the model's native size.
        width: Width of the image in pixels, likewise. None: the model's native size.
        steps: Number of denoising steps. None: the pipeline's own.
        guidance: Guidance scale, classifier-free or distilled. None: the pipeline's own.
        negative_prompt: What the image should not show, where the pipeline takes such a prompt.
        seed: Seed of the first noise, which is drawn on the CPU.
    """

    height: int | None = None
    width: int | None = None
    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("height", "width", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
