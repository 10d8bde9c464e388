"""Options of a run beside its settings; without torch, for the command line to declare them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trace_edges.extras import require

if TYPE_CHECKING:
    from accelerate import Accelerator

    from trace_edges.distillation.settings import DistillationSettings

BaseType = Literal["float32", "float16", "bfloat16"]
Precision = Literal["no", "fp16", "bf16"]
Tracker = Literal["tensorboard"]


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Settings in place of those that a config has; None leaves the config's.

    Attributes:
        label_resolution: Size at which the teacher sees a photograph: sqrt(height * width) in
            pixels. Given several times, the edges of all sizes are averaged.
        steps: Number of training steps.
        pasted: Share of the crops onto which objects and pieces of other photographs are pasted,
            whose borders are known. None: the config's.
        rank: Rank of the LoRA, the low-rank weights that are trained beside the denoiser; 0 trains
            none.
        reconstruction_weight: Weight of the reconstruction loss L_rec, which keeps the LoRA close
            to the original model; 0 leaves it out.
        seed: Seed of the initial weights and the crops. None: the config's.
        average_mirrored: Average the teacher's edges with those of the mirrored photograph.
        shift: Shift of a flow model's steps in the teacher. None: the config's.
        student_dtype: Number type of the student's frozen weights; what is trained is float32.
            None: the config's.
        gradient_checkpointing: Save memory at the cost of time where a LoRA is trained, even if the
            config does not say so.
    """

    label_resolution: list[int] | None = None
    steps: int | None = None
    pasted: float | None = None
    rank: int | None = None
    reconstruction_weight: float | None = None
    seed: int | None = None
    average_mirrored: bool = False
    shift: float | None = None
    student_dtype: BaseType | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("pasted", 0), ("rank", 0), ("reconstruction_weight", 0)):
            if (value := getattr(self, name)) is not None and value < least:
                raise ValueError(f"{name} must be {least} or more, not {value}")
        if (smallest := min(self.label_resolution or [32])) < 32:
            raise ValueError(f"label_resolution must be 32 or more, not {smallest}")

    def apply(self, settings: DistillationSettings) -> DistillationSettings:
        """Give the settings with these in place of their own; without a LoRA there is no L_rec.

        Raises:
            ValueError: they make no sense together.
        """
        changes: dict[str, Any] = {
            "seed": self.seed, "steps": self.steps, "pasted": self.pasted,
            "reconstruction_weight": self.reconstruction_weight, "dtype": self.student_dtype,
            "gradient_checkpointing": self.gradient_checkpointing or None,
        }  # fmt: skip
        if self.rank and settings.student.widths:
            raise ValueError("a student with widths has no denoiser for a LoRA: leave rank out")
        if self.rank is not None:
            changes["student"] = replace(settings.student, rank=self.rank)
            if self.rank == 0:  # what is of a LoRA alone goes with it
                changes["gradient_checkpointing"] = self.gradient_checkpointing
                if self.reconstruction_weight is None:
                    changes["reconstruction_weight"] = 0.0
        if self.label_resolution or self.average_mirrored:
            changes["averaging"] = replace(
                settings.averaging,
                resolutions=tuple(self.label_resolution or settings.averaging.resolutions),
                mirror=self.average_mirrored or settings.averaging.mirror,
            )
        if self.shift is not None:
            changes["teacher"] = replace(settings.teacher, shift=self.shift)
        return replace(settings, **{k: v for k, v in changes.items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a run trains on this machine.

    Attributes:
        hold_out: Keep every n-th photograph for validation.
        mixed_precision: Number type of mixed-precision training.
        accumulate: Number of batches whose gradients are summed for one step.
        report_to: Tracker to which the curves are sent as well. Needs the extra tensorboard.

    Raises:
        MissingExtraError: tensorboard is asked for and not installed.
    """

    hold_out: int = 10
    mixed_precision: Precision = "no"
    accumulate: int = 1
    report_to: Tracker | None = None

    def __post_init__(self) -> None:
        for name, least in (("hold_out", 2), ("accumulate", 1)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} must be {least} or more, not {value}")
        if self.report_to is not None:
            require("tensorboard", "tensorboard")  # accelerate would leave it out without a word

    def accelerator(self, folder: Path, *, cpu: bool) -> Accelerator:
        """Set up number type, accumulation and trackers, which write below `folder`."""
        from accelerate import Accelerator

        accelerator = Accelerator(
            mixed_precision=self.mixed_precision,
            gradient_accumulation_steps=self.accumulate,
            cpu=cpu,
            log_with=self.report_to,
            project_dir=folder,
        )
        accelerator.init_trackers("distill")
        return accelerator
