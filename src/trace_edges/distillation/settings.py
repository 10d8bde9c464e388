"""Settings of a distillation, the sets of them that have names, and how JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval

from trace_edges.checks import (
    STRICT,
    Seed,
    Share,
    Side,
    Steps,
    Weight,
    check_fields,
    read_fields,
)
from trace_edges.detector.settings import StudentSettings
from trace_edges.distillation.labels import LabelSettings
from trace_edges.distillation.options import BaseType
from trace_edges.distillation.teachers import Averaging
from trace_edges.files import FileError, read_json
from trace_edges.training import BatchSize, Rate, Stage
from trace_edges.training_free.settings import TraceSettings

EdgeLoss = Literal["entropy", "dice"]

_MOST_PIXELS = 400_000_000  # of a batch, as of an image
_SEVERAL = ("resolutions", "timesteps", "seeds")  # of Averaging: tuples, lists in JSON


@dataclass(frozen=True)
class DistillationSettings:
    """A whole run: the same settings, photographs and machine give the same weights.

    Attributes:
        student, labels, teacher: what it is, what it learns, and from whom.
        averaging: views of the teacher that one label is made of.
        resolution: sqrt(H * W) in px of what the student sees.
        detect_resolution: of what the finished detector sees, if not asked otherwise; None: the
            same. Lines can be placed better on a larger image than on those it was trained on.
        crop: side in px of the squares it is trained on.
        pasted: share of the crops onto which objects and pieces of other photographs are pasted,
            whose outlines are known (`pasting.paste`). Above 0, the scale and the light of all
            crops vary too. Of students whose features are not kept: with `widths`, or a rank.
        twins: share of what is pasted that is pasted once more, right beside itself: for images in
            which things of one kind touch.
        batch_size, steps, learning_rate, weight_decay: of AdamW; one warm-up of 50 steps, then a
            cosine down to a fiftieth.
        edge_loss: "dice" (the paper's) or "entropy", relative to the target.
        edge_weight, reconstruction_weight: of the two parts of the loss; 0 switches one off.
            Reconstruction reaches the LoRA only, so it needs a rank.
        ema: at most so much of the running average of weights stays from step to step.
        validate_every, save_every: steps.
        seed: of the first weights, the crops and the flips.
        dtype: of the denoiser and the VAE while the student is trained. Decoder and LoRA are
            float32 in any case.
        gradient_checkpointing: less memory, with a LoRA: activations are computed again.
        offload_vae: the VAE lies in the computer's memory but while it is used.
    """

    __pydantic_config__ = STRICT

    student: StudentSettings = field(default_factory=StudentSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    teacher: TraceSettings = field(
        default_factory=lambda: TraceSettings(timestep=99, trajectory="noise")
    )
    averaging: Averaging = field(default_factory=Averaging)
    resolution: Side = 384
    detect_resolution: Side | None = None
    crop: Side = 256
    pasted: Share = 0.0
    twins: Share = 0.0
    batch_size: BatchSize = 8
    steps: Steps = 1200
    learning_rate: Rate = 2e-3
    weight_decay: Annotated[float, Interval(ge=0, le=100)] = 1e-2
    edge_loss: EdgeLoss = "dice"
    edge_weight: Annotated[float, Interval(gt=0, le=1_000_000)] = 1.0
    reconstruction_weight: Weight = 0.0
    ema: Share = 0.995
    validate_every: Steps = 100
    save_every: Steps = 50
    seed: Seed = 0
    dtype: BaseType = "float32"
    gradient_checkpointing: bool = False
    offload_vae: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.reconstruction_weight and not self.student.rank:
            raise ValueError("the reconstruction loss trains the LoRA only: give it a rank")
        if self.pasted and not (self.student.rank or self.student.widths):
            raise ValueError(
                "pasted is for a student whose features are not kept: one with widths or a rank"
            )
        if self.twins and not self.pasted:
            raise ValueError("twins are of what is pasted: set pasted above 0")
        if self.gradient_checkpointing and not self.student.rank:
            raise ValueError("gradient checkpointing saves memory of a LoRA only: give it a rank")
        if self.batch_size * self.crop**2 > _MOST_PIXELS:
            raise ValueError(
                f"{self.batch_size} crops of {self.crop} px are a batch of more than "
                f"{_MOST_PIXELS:,} pixels: make either smaller"
            )

    @property
    def stage(self) -> Stage:
        """Settings of the training loop."""
        return Stage(
            self.batch_size, self.steps, self.learning_rate, self.weight_decay, warm_up=50,
            ema=self.ema, validate_every=self.validate_every, save_every=self.save_every,
            validate_first=True,
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Give plain JSON values."""
        teacher = asdict(self.teacher)
        teacher["layers"] = None if self.teacher.layers is None else list(self.teacher.layers)
        averaging = asdict(self.averaging)
        averaging |= {name: list(averaging[name]) for name in _SEVERAL}
        return asdict(self) | {
            "student": self.student.describe(), "teacher": teacher, "averaging": averaging
        }  # fmt: skip

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> DistillationSettings:
        """The inverse of `describe`; what is left out stays as it is by default.

        Raises:
            ValueError: a name or a value is unknown.
        """
        return read_fields(cls, values)


CONFIGS = {
    # Two CPU cores, minutes: does it learn at all?
    "toy": DistillationSettings(
        student=StudentSettings(width=32),
        resolution=256, crop=128, steps=300, validate_every=50, save_every=10,
    ),
    # Two CPU cores, an hour or two: a student that reads the image alone, as the default detector.
    "pixels": DistillationSettings(
        student=StudentSettings(blocks=(), width=96, widths=(16, 32, 64, 96)),
        resolution=448, detect_resolution=512, crop=192, pasted=1.0, steps=800,
    ),
    # The same labels for a student that reads a frozen backbone.
    "cpu": DistillationSettings(steps=600, detect_resolution=512),
    # The paper's student (rank 64, L_rec) with our labels, on one card.
    "24gb": DistillationSettings(
        student=StudentSettings(width=128, rank=64), labels=LabelSettings(half_edge=None),
        resolution=512, crop=384, batch_size=4,
        steps=10_000, learning_rate=2e-4, reconstruction_weight=1.0,
        dtype="bfloat16", gradient_checkpointing=True, offload_vae=True,
    ),
    # The paper's labels and loss as well, and a decoder that reads attention.
    "paper": DistillationSettings(
        student=StudentSettings(blocks=(), attention=3, width=128, rank=64),
        labels=LabelSettings(rule="literal"),
        teacher=TraceSettings(), resolution=512, crop=512, batch_size=16, steps=50_000,
        learning_rate=1e-4, reconstruction_weight=1.0,
        dtype="bfloat16", gradient_checkpointing=True, offload_vae=True,
    ),
}  # fmt: skip


def read_config(name: str) -> DistillationSettings:
    """Read one of `CONFIGS`, or a JSON file: settings as `describe` gives them, all or some, or the
    config.json of a detector, whose run is repeated.

    Raises:
        FileError: the file does not hold settings.
        ValueError: there is no such config, nor file.
    """
    if name in CONFIGS:
        return CONFIGS[name]
    path = Path(name)
    if not path.is_file():
        known = ", ".join(CONFIGS)
        raise ValueError(f"config {name!r} is neither one of {known} nor a JSON file")
    values = read_json(path)
    known_names = {each.name for each in fields(DistillationSettings)}
    if isinstance(values, Mapping) and isinstance(trained := values.get("training"), Mapping):
        values = {name: value for name, value in trained.items() if name in known_names}
    try:
        return DistillationSettings.from_description(values)
    except ValueError as error:
        problem = str(error)
        if not problem.startswith(("is ", "has ", "lacks ")):
            problem = f"holds no settings: {problem}"
        raise FileError(path, problem, "give settings as docs/distillation.md says") from error
