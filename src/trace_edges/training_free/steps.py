"""Which steps a backbone is read at, by the settings."""

from __future__ import annotations

from trace_edges.backbones import Backbone
from trace_edges.training_free.settings import TraceSettings

# What only a trajectory has, and how each is when nobody asked for it.
OF_TRAJECTORY = {
    name: getattr(TraceSettings(), name)
    for name in ("trajectory", "timestep", "stride", "seed", "emergence_resolution", "criterion",
                 "ignore_first", "shift")
}  # fmt: skip


def looks_once(backbone: Backbone) -> bool:
    """A backbone without noise: one pass, no trajectory, no emergence."""
    return len(backbone.schedule.levels) == 1


def visited_steps(backbone: Backbone, settings: TraceSettings) -> tuple[int, ...]:
    """The steps of the trajectory, ascending, up to the one that was asked for.

    Raises:
        ValueError: the settings leave no step to choose, ask for one that is not there, or ask for
            any of a backbone that looks once.
    """
    steps = backbone.schedule.timesteps(settings.stride, settings.shift)
    if looks_once(backbone):
        for option, unset in OF_TRAJECTORY.items():
            if getattr(settings, option) != unset:
                raise ValueError(
                    f"{backbone.name} looks once, without noise: leave {option.replace('_', ' ')} "
                    "out"
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
