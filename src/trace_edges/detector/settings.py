"""What can be set of a distillation, and the sets of settings that have names."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from trace_edges.detector.labels import LabelSettings
from trace_edges.detector.losses import EDGE_LOSSES, EdgeLoss
from trace_edges.detector.student import StudentSettings
from trace_edges.detector.teachers import Averaging
from trace_edges.settings import TraceSettings

_SEVERAL = ("resolutions", "timesteps", "seeds")  # of Averaging: tuples, lists in JSON


@dataclass(frozen=True)
class DistillationSettings:
    """A whole run: the same settings, photographs and machine give the same weights.

    Attributes:
        student, labels, teacher: what it is, what it learns, and who says so.
        averaging: looks of the teacher that one label is made of.
        resolution: sqrt(H * W) in px of what the student sees.
        crop: side in px of the squares it is trained on.
        batch_size, steps, learning_rate, weight_decay: of AdamW; one warm-up of 50 steps, then a
            cosine down to a fiftieth.
        edge_loss: "entropy" (ours) or "dice" (the paper's).
        edge_weight, reconstruction_weight: of the two parts of the loss; 0 switches one off.
            Reconstruction reaches the LoRA only, so it needs a rank.
        ema: at most so much of the running average of weights stays from step to step.
        validate_every, save_every: steps.
        seed: of the first weights, the crops and the flips.
    """

    student: StudentSettings = field(default_factory=StudentSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    teacher: TraceSettings = field(
        default_factory=lambda: TraceSettings(timestep=99, trajectory="noise")
    )
    averaging: Averaging = field(default_factory=Averaging)
    resolution: int = 384
    crop: int = 256
    batch_size: int = 8
    steps: int = 1200
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    edge_loss: EdgeLoss = "entropy"
    edge_weight: float = 1.0
    reconstruction_weight: float = 0.0
    ema: float = 0.995
    validate_every: int = 100
    save_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.edge_loss not in EDGE_LOSSES:
            known = ", ".join(EDGE_LOSSES)
            raise ValueError(f"unknown edge loss {self.edge_loss!r}; known: {known}")
        counted = ("resolution", "crop", "batch_size", "steps", "validate_every", "save_every")
        if wrong := [name for name in counted if getattr(self, name) < 1]:
            raise ValueError(f"{wrong[0]} must be 1 or more, not {getattr(self, wrong[0])}")
        if self.reconstruction_weight and not self.student.rank:
            raise ValueError("the reconstruction loss trains the LoRA only: give it a rank")
        if not self.edge_weight > 0:
            raise ValueError("edge_weight must be positive: nothing else trains the decoder")

    def describe(self) -> dict[str, Any]:
        """As JSON holds it."""
        teacher = asdict(self.teacher)
        teacher["layers"] = None if self.teacher.layers is None else list(self.teacher.layers)
        averaging = asdict(self.averaging)
        averaging |= {name: list(averaging[name]) for name in _SEVERAL}
        return asdict(self) | {
            "student": self.student.describe(), "teacher": teacher, "averaging": averaging
        }  # fmt: skip


CONFIGS = {
    # Two CPU cores, minutes: does it learn at all?
    "toy": DistillationSettings(
        student=StudentSettings(width=32),
        resolution=256, crop=128, steps=300, validate_every=50, save_every=10,
    ),
    # Two CPU cores, an hour or two: the detector that comes with the package.
    "cpu": DistillationSettings(),
    # The paper's student (rank 64, L_rec) with our labels, on one card.
    "24gb": DistillationSettings(
        student=StudentSettings(width=128, rank=64), resolution=512, crop=384, batch_size=16,
        steps=10_000, learning_rate=2e-4, reconstruction_weight=1.0,
    ),
    # The paper's labels and loss as well.
    "paper": DistillationSettings(
        student=StudentSettings(width=128, rank=64), labels=LabelSettings(rule="literal"),
        teacher=TraceSettings(), resolution=512, crop=512, batch_size=16, steps=50_000,
        learning_rate=1e-4, edge_loss="dice", reconstruction_weight=1.0,
    ),
}  # fmt: skip
