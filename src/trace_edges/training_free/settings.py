"""Settings of the training-free method; every default is the paper's or the backbone's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, get_args

from trace_edges.checks import STRICT

if TYPE_CHECKING:
    from trace_edges.backbones import Backbone

Trajectory = Literal["inversion", "noise"]
Criterion = Literal["kl", "l1", "l2", "entropy", "wasserstein"]

_BOUNDS = {"resolution": (1, 16384), "subcell": (1, 64), "stride": (1, 100_000),
           "emergence_resolution": (1, 16384), "ignore_first": (0, 100_000),
           "timestep": (0, 100_000), "seed": (0, 2**63 - 1)}  # fmt: skip
_CHOICES: dict[str, tuple[Any, ...]] = {
    "trajectory": get_args(Trajectory),
    "criterion": get_args(Criterion),
    "neighbours": (4, 8),
    "symmetric": (False, True),
    "border": ("scale", "copy"),
}


@dataclass(frozen=True)
class TraceSettings:
    """How the pipeline reads an image.

    Attributes:
        resolution: size at which the model sees the image: sqrt(height * width) in pixels. The
            aspect ratio is kept, and both sides are rounded to whole cells. None: the backbone's
            own.
        subcell: read k x k views of the image, shifted by 1/k of a cell, and interleave them to
            edges of k times the resolution. None: the backbone's own.
        trajectory: how noise is added: "inversion" inverts the sampler and is deterministic, as in
            the paper; "noise" adds one fixed random noise.
        timestep: read the attention at this timestep instead of at the Instance Emergence Point
            (t*). No other timestep is captured, and there is no curve.
        stride: distance between the timesteps that are visited.
        seed: seed of random noise. The "inversion" trajectory draws none.
        emergence_resolution: like `resolution`, but for finding t*. A smaller value finds t* in a
            fraction of the time. With `resolution` or more, t* and edges are found together at
            `resolution`, as in the paper. None: the backbone's own.
        criterion: how the change between consecutive maps is measured to find t*: "kl" (the
            paper's), "l1", "l2", "entropy" or "wasserstein"; `emergence.py` defines each.
        ignore_first: number of changes at the start among which t* is not sought.
        neighbours: 4 (the paper's), or 8 to add the diagonals to ABDiv.
        symmetric: average KL in both directions in ABDiv. The paper takes one.
        border: how ABDiv makes up for the neighbour that the outermost cells lack, "scale" or
            "copy" (`boundary_divergence`).
        layers: which of the backbone's self-attention layers are averaged, counted from 0 in the
            order of `backbone.layers`. None: all (the paper's).
        shift: shift a of the steps of a flow model: step s becomes a s / (1 + (a - 1) s), as in
            its sampler. SD3's sampler has 3; 1 leaves the steps uniform.
    """

    __pydantic_config__ = STRICT

    resolution: int | None = None
    subcell: int | None = None
    trajectory: Trajectory = "inversion"
    timestep: int | None = None
    stride: int = 100
    seed: int = 0
    emergence_resolution: int | None = None
    criterion: Criterion = "kl"
    ignore_first: int = 0
    neighbours: Literal[4, 8] = 4
    symmetric: bool = False
    border: Literal["scale", "copy"] = "scale"
    layers: tuple[int, ...] | None = None
    shift: float = 1.0

    def __post_init__(self) -> None:
        for name, (smallest, largest) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None and type(self).__dataclass_fields__[name].default is None:
                continue
            if not isinstance(value, Integral) or isinstance(value, bool):
                raise ValueError(f"{name} must be an integer, not {value!r}")
            if value < smallest and name != "timestep":  # the schedule knows the steps
                raise ValueError(f"{name} must be {smallest} or more, not {value}")
            if int(value) > largest:
                raise ValueError(f"{name} must be {largest} or less, not {value}")
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(map(str, known))}")
        if isinstance(self.shift, bool) or not isinstance(self.shift, Real):
            raise ValueError(f"shift must be a number, not {self.shift!r}")
        if not 0 < self.shift < float("inf"):
            raise ValueError(f"shift must be more than 0 and finite, not {self.shift}")
        if self.layers is not None and not _are_layers(self.layers):
            raise ValueError(
                f"layers must be a tuple of different numbers such as (0, 5), not {self.layers!r}"
            )

    @property
    def divergence(self) -> dict[str, Any]:
        """The options of `boundary_divergence`."""
        return {name: getattr(self, name) for name in ("neighbours", "symmetric", "border")}


def _are_layers(layers: Any) -> bool:
    return (
        isinstance(layers, tuple)
        and 0 < len(layers) == len(set(layers))
        and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in layers)
    )


# What only a trajectory has, and its value where nobody asked for another.
OF_TRAJECTORY = {
    name: getattr(TraceSettings(), name)
    for name in ("trajectory", "timestep", "stride", "seed", "emergence_resolution", "criterion",
                 "ignore_first", "shift")
}  # fmt: skip


def is_single_pass(backbone: Backbone) -> bool:
    """A backbone without noise: one pass, no trajectory, no emergence."""
    return len(backbone.schedule.levels) == 1


def visited_steps(backbone: Backbone, settings: TraceSettings) -> tuple[int, ...]:
    """The steps of the trajectory, ascending, up to the one that was asked for.

    Raises:
        ValueError: the settings leave no step to choose, ask for one that is not there, or ask for
            any of a backbone that is read in a single pass.
    """
    steps = backbone.schedule.timesteps(settings.stride, settings.shift)
    if is_single_pass(backbone):
        for option, unset in OF_TRAJECTORY.items():
            if getattr(settings, option) != unset:
                raise ValueError(
                    f"{backbone.name} makes a single pass without noise: leave out "
                    f"{option.replace('_', ' ')}"
                )
        return steps
    if settings.timestep is None:
        if len(steps) < 2 + settings.ignore_first:
            raise ValueError(
                f"stride {settings.stride} gives {len(steps)} steps, which leaves no change to "
                f"choose t* from with ignore_first={settings.ignore_first}"
            )
        return steps
    last = len(backbone.schedule.levels) - 1
    if not 0 <= settings.timestep <= last:
        raise ValueError(f"timestep {settings.timestep} is outside 0 .. {last}")
    if settings.trajectory == "noise":
        return (settings.timestep,)
    return (*(step for step in steps if step < settings.timestep), settings.timestep)


def attention_only(settings: TraceSettings, described: dict[str, Any]) -> TraceSettings:
    """The settings that read attention at t* and no finer edges than its grid has.

    That grid is the one on which t* is found, or of half the resolution where it is finer: t* shows
    on grids that are too coarse to tell objects apart.
    """
    resolution = max(described["emergence_resolution"], described["resolution"] // 2)
    return replace(settings, resolution=resolution, subcell=1)
