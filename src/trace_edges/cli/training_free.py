"""The two ways to edges on the command line: in one step, or training-free with its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from trace_edges.cli.options import NO_LOAD_OPTIONS, DType, Trajectory, load_pipeline

EMBEDDED = "trace-mini"


@dataclass(frozen=True, kw_only=True)
class TrainingFree:
    """What only the training-free way has, as a command was given it.

    Attributes:
        subcell, trajectory, timestep, stride, seed, shift, emergence_resolution: see
            `TraceSettings`; the defaults are those of the options.
        loaded: see `load_options`.
    """

    subcell: int | None = None
    trajectory: Trajectory = Trajectory.inversion
    timestep: int | None = None
    stride: int = 100
    seed: int = 0
    shift: float = 1.0
    emergence_resolution: int | None = None
    loaded: Mapping[str, Any] = field(default_factory=lambda: NO_LOAD_OPTIONS)

    def refuse(self) -> None:
        """`ValueError` where one was given: another way to edges is taken."""
        unset = _walked(TrainingFree()) | NO_LOAD_OPTIONS
        for name, value in (_walked(self) | dict(self.loaded)).items():
            if value != unset[name]:
                option = name.replace("_", "-")
                raise ValueError(
                    f"--{option} belongs to the training-free way: add --training-free"
                )

    def settings(self, resolution: int | None) -> Any:
        """As `TraceSettings`."""
        from trace_edges.training_free.settings import TraceSettings

        return TraceSettings(resolution, **_walked(self) | {"trajectory": self.trajectory.value})

    def load(self, backbone: str, device: str, dtype: DType) -> Any:
        """The pipeline of this backbone."""
        return load_pipeline(backbone, device, dtype, self.loaded)


def is_one_step(training_free: bool, detector: str | None, backbone: str) -> bool:
    """Whether a detector is asked for; `ValueError` if it is and it is not."""
    if detector is not None and (training_free or backbone != EMBEDDED):
        other = "--training-free" if training_free else "--backbone"
        raise ValueError(f"--detector brings its own backbone: leave {other} out")
    return detector is not None or (not training_free and backbone == EMBEDDED)


def _walked(way: TrainingFree) -> dict[str, Any]:
    """All but how the backbone is loaded."""
    return {one.name: getattr(way, one.name) for one in fields(way) if one.name != "loaded"}
