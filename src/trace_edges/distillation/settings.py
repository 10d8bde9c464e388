"""Settings of a distillation, the sets of them that have names, and how JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from trace_edges.detector.student import StudentSettings
from trace_edges.distillation.labels import LabelSettings
from trace_edges.distillation.teachers import Averaging
from trace_edges.files import FileError, read_json
from trace_edges.training import Stage, at_least_one
from trace_edges.training_free.settings import TraceSettings

EdgeLoss = Literal["entropy", "dice"]

_PARTS: dict[str, Any] = {
    "student": StudentSettings, "labels": LabelSettings, "teacher": TraceSettings,
    "averaging": Averaging,
}  # fmt: skip
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
        batch_size, steps, learning_rate, weight_decay: of AdamW; one warm-up of 50 steps, then a
            cosine down to a fiftieth.
        edge_loss: "dice" (the paper's) or "entropy", relative to the target.
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
    detect_resolution: int | None = None
    crop: int = 256
    batch_size: int = 8
    steps: int = 1200
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    edge_loss: EdgeLoss = "dice"
    edge_weight: float = 1.0
    reconstruction_weight: float = 0.0
    ema: float = 0.995
    validate_every: int = 100
    save_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.edge_loss not in get_args(EdgeLoss):
            known = ", ".join(get_args(EdgeLoss))
            raise ValueError(f"unknown edge loss {self.edge_loss!r}; known: {known}")
        at_least_one(self, "resolution", "crop")
        _ = self.stage  # which checks the rest
        if self.reconstruction_weight and not self.student.rank:
            raise ValueError("the reconstruction loss trains the LoRA only: give it a rank")
        if not self.edge_weight > 0:
            raise ValueError("edge_weight must be positive: nothing else trains the decoder")

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
        try:
            parts = {name: _PARTS[name](**_tuples(values[name])) for name in _PARTS.keys() & values}
            return cls(**{**values, **parts})
        except TypeError as error:
            raise ValueError(f"no settings of a distillation: {error}") from error


CONFIGS = {
    # Two CPU cores, minutes: does it learn at all?
    "toy": DistillationSettings(
        student=StudentSettings(width=32),
        resolution=256, crop=128, steps=300, validate_every=50, save_every=10,
    ),
    # Two CPU cores, an hour or two: the detector that comes with the package.
    "cpu": DistillationSettings(steps=600, detect_resolution=512),
    # The paper's student (rank 64, L_rec) with our labels, on one card.
    "24gb": DistillationSettings(
        student=StudentSettings(width=128, rank=64), resolution=512, crop=384, batch_size=16,
        steps=10_000, learning_rate=2e-4, reconstruction_weight=1.0,
    ),
    # The paper's labels and loss as well, and a decoder that reads attention.
    "paper": DistillationSettings(
        student=StudentSettings(blocks=(), attention=3, width=128, rank=64),
        labels=LabelSettings(rule="literal"),
        teacher=TraceSettings(), resolution=512, crop=512, batch_size=16, steps=50_000,
        learning_rate=1e-4, reconstruction_weight=1.0,
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
    try:
        if "training" in values:
            values = {k: v for k, v in values["training"].items() if k in known_names}
        return DistillationSettings.from_description(values)
    except (TypeError, ValueError) as error:
        raise FileError(path, str(error), f"see {', '.join(CONFIGS)}") from error


def first_names(description: Mapping[str, Any]) -> dict[str, Any]:
    """Name settings of the training-free method as they were named when labels were first cached
    and runs first begun: what is kept under such a description is found again.
    """
    return {
        "refine" if name == "subcell" else name: value
        for name, value in description.items()
        if (name, value) != ("method", "training-free")  # went without saying
    }


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples, no setting is a list, and `subcell` was once called refine."""
    values = {"subcell" if name == "refine" else name: v for name, v in values.items()}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
