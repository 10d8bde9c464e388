"""A trained detector on disk: config.json, and the weights of decoder and LoRA beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trace_edges import __version__
from trace_edges.backbones.checkpoints import WEIGHT_OPTIONS
from trace_edges.backbones.problems import BackboneError
from trace_edges.checks import Side, read_fields
from trace_edges.detector.settings import BaseType, StudentSettings
from trace_edges.files import FileError, read_json

if TYPE_CHECKING:
    import torch

    from trace_edges.detector.pixels import AnyStudent

CONFIG, WEIGHTS = "config.json", "detector.safetensors"
GRAPH = "detector.onnx"  # of what reads the image alone; it has its weights from that file
MEND = "give a folder written by save_pretrained or by `trace-edges distill`"


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """What a detector is made of; keys of other versions are passed over.

    Attributes:
        trace_edges: version that wrote it.
        backbone: where the backbone lay when the detector was trained; None: it has none.
        backbone_null, backbone_revision, backbone_variant, backbone_prediction_type,
            backbone_quantize: how it was loaded, where it was not as `load_backbone` does.
        backbone_dtype: number type of its weights in training.
        backbone_fingerprint: of its weights in that type.
        backbone_rounded: of weights that were float32, as half precision has them, by its name.
        resolution: sqrt(H * W) in px of what the detector sees.
        student: its parts.
        blocks: names of the blocks that the decoder reads.
        training: how it was trained, plain JSON values.
    """

    __pydantic_config__: ClassVar = {"strict": True}

    trace_edges: str = __version__
    backbone: str | None = None
    backbone_null: str | None = None
    backbone_revision: str | None = None
    backbone_variant: str | None = None
    backbone_prediction_type: str | None = None
    backbone_quantize: str | None = None
    backbone_dtype: BaseType = "float32"
    backbone_fingerprint: str | None = None
    backbone_rounded: dict[str, str] = field(default_factory=dict)
    resolution: Side
    student: StudentSettings
    blocks: tuple[str, ...]
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        of_backbone = {"backbone": self.backbone, "backbone_fingerprint": self.backbone_fingerprint}
        absent = [name for name, value in of_backbone.items() if value is None]
        if absent and not self.student.widths:
            raise ValueError(f"lacks {', '.join(absent)}")

    @classmethod
    def of(cls, student: AnyStudent, resolution: int, training: dict[str, Any]) -> DetectorConfig:
        """The config of a student."""
        loaded_with: Mapping[str, Any] = student.loaded_with
        ways: dict[str, Any] = {f"backbone_{way}": loaded_with.get(way) for way in WEIGHT_OPTIONS}
        return cls(
            backbone=student.name,
            **ways,
            backbone_dtype=student.trained_in,
            backbone_fingerprint=student.base,
            backbone_rounded=student.rounded,
            resolution=resolution,
            student=student.settings,
            blocks=tuple(student.blocks),
            training=training,
        )

    @property
    def weight_options(self) -> dict[str, Any]:
        """How the backbone is loaded, as `load_backbone` takes it."""
        return {way: getattr(self, f"backbone_{way}") for way in WEIGHT_OPTIONS}

    @property
    def dtype(self) -> torch.dtype:
        """`backbone_dtype` as torch has it."""
        import torch

        kind: torch.dtype = getattr(torch, self.backbone_dtype)
        return kind

    def describe(self) -> dict[str, Any]:
        """Plain JSON values; what goes without saying is left out."""
        values = asdict(self) | {"student": self.student.describe(), "training": self.training}
        usual: dict[str, Any] = {"backbone_dtype": "float32", "backbone_rounded": {}}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if value is not None and not (key in usual and value == usual[key])
        }


def read_config(folder: Path) -> DetectorConfig:
    """Read the config alone.

    Raises:
        BackboneError: the folder holds no detector, or a broken one.
    """
    try:
        return read_fields(DetectorConfig, read_json(folder / CONFIG))
    except OSError as error:
        reason = error.strerror or error
        raise BackboneError(
            f"{folder} holds no edge detector ({CONFIG}: {reason}): {MEND}"
        ) from error
    except FileError as error:
        raise BackboneError(str(error)) from error
    except ValueError as error:
        raise BackboneError(f"{folder / CONFIG}: {error}: {MEND}") from error
