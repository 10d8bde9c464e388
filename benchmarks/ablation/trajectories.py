"""A pipeline that remembers its trajectories, so that rows which differ in the reading share one.

All fixed steps of a trajectory, all criteria for t* and all ways to read ABDiv need the same passes
of the model. They are made once for every view of a photograph, read in every way that is asked
for, and kept on disk: a few hundred kilobytes for each.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float32

from trace_edges.backbones import DiffusionBackbone
from trace_edges.files import write_atomically
from trace_edges.sources import Step
from trace_edges.training_free.divergence import boundary_divergence
from trace_edges.training_free.emergence import Criterion, map_change
from trace_edges.training_free.pipeline import OnStep, TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings
from trace_edges.training_free.trajectory import TrajectoryReading, read_trajectory

_Kept = dict[str, Any]  # arrays by name, as in the file


class RememberingPipeline(TraceEdgePipeline):
    """Gives what `TraceEdgePipeline` gives, from trajectories on disk where they are there.

    Attributes:
        seconds: how long the passes took that the calls so far rest on, as they were measured when
            the trajectories were made: what a pipeline that remembers nothing spends in the model.
        passes: how many were made by this object.
    """

    backbone: DiffusionBackbone

    def __init__(
        self, backbone: DiffusionBackbone, folder: Path, readings: Iterable[TraceSettings]
    ) -> None:
        """Keep trajectories in `folder`, each read by every criterion and by all options of ABDiv
        (neighbours, symmetric, border) that occur in `readings`.
        """
        super().__init__(backbone)
        self.seconds, self.passes = 0.0, 0
        self._folder, self._model = folder, backbone.fingerprint()
        self._divergences = {_reading(settings): settings.divergence for settings in readings}

    def read_view(
        self,
        images: Float32[torch.Tensor, "b 3 H W"],
        timesteps: tuple[int, ...],
        settings: TraceSettings,
        on_step: OnStep | None = None,
        start: int = 0,
    ) -> TrajectoryReading:
        """As in the pipeline, but there may be no step to call `on_step` with.

        Raises:
            ValueError: `on_step` is given, or ABDiv is to be read in a way that was not announced.
        """
        if on_step is not None:
            raise ValueError("a walk from disk has no attention to show: on_step is not for it")
        if _reading(settings) not in self._divergences:
            raise ValueError(f"{_reading(settings)} is not a reading that this pipeline keeps")
        ladder = self.backbone.schedule.timesteps(settings.stride, settings.shift)
        for home in (ladder, timesteps):
            kept = _load(self._file(images, settings, home))
            if kept is not None and (found := self._cut(kept, timesteps, settings)):
                return TrajectoryReading(
                    timesteps[start:], found.divergence[start:], found.curve[:, start:]
                )
        home = ladder if timesteps == ladder[: len(timesteps)] else timesteps
        with write_atomically(self._file(images, settings, home)) as temporary:
            np.savez(temporary, **self._run(images, timesteps, settings))
        return self.read_view(images, timesteps, settings, start=start)

    def _cut(
        self, kept: _Kept, timesteps: tuple[int, ...], settings: TraceSettings
    ) -> TrajectoryReading | None:
        """The part of a longer trajectory that was asked for; None where it lacks some of it."""
        steps = tuple(kept["timesteps"].tolist())
        curve, divergence = kept.get(_curve(settings.criterion)), kept.get(_reading(settings))
        if curve is None or divergence is None or timesteps[0] not in steps:
            return None
        start = steps.index(timesteps[0])
        stop = start + len(timesteps)
        if steps[start:stop] != timesteps:
            return None
        self.seconds += float(kept["seconds"][start:stop].sum())
        return TrajectoryReading(
            timesteps,
            torch.from_numpy(divergence[start:stop]),
            torch.from_numpy(curve[:, start : stop - 1]),
        )

    def _run(
        self,
        images: Float32[torch.Tensor, "b 3 H W"],
        timesteps: tuple[int, ...],
        settings: TraceSettings,
    ) -> _Kept:
        backbone = self.backbone.reading(settings.layers)
        maps: dict[str, list[np.ndarray]] = {name: [] for name in self._divergences}
        curves: dict[Criterion, list[np.ndarray]] = {name: [] for name in get_args(Criterion)}
        before: torch.Tensor | None = None

        def read(step: Step, _: torch.Tensor | None) -> None:
            nonlocal before
            for name, options in self._divergences.items():
                found = boundary_divergence(step.attention, step.grid, **options)
                maps[name].append(found.cpu().numpy())
            if before is not None:
                for criterion, curve in curves.items():
                    change = map_change(before, step.attention, step.grid, criterion)
                    curve.append(change.cpu().numpy())
            before = step.attention

        with pass_seconds(backbone) as seconds:
            read_trajectory(
                backbone, images, timesteps, settings.trajectory, settings.seed, on_step=read
            )
        self.passes += len(timesteps)
        kept = {name: np.stack(found) for name, found in maps.items()}
        nothing = np.zeros((len(images), 0), dtype=np.float32)
        kept |= {
            _curve(criterion): np.stack(curve, axis=1) if curve else nothing
            for criterion, curve in curves.items()
        }
        return kept | {"timesteps": np.array(timesteps), "seconds": np.array(seconds)}

    def _file(
        self,
        images: Float32[torch.Tensor, "b 3 H W"],
        settings: TraceSettings,
        home: tuple[int, ...],
    ) -> Path:
        """Named by all that the trajectory depends on: the pixels given to the model among it."""
        seed = settings.seed if settings.trajectory == "noise" else None
        words = (self._model, settings.trajectory, seed, settings.layers, home, images.shape)
        digest = hashlib.blake2b(repr(words).encode(), digest_size=16)
        digest.update(images.numpy().tobytes())
        return self._folder / f"{digest.hexdigest()}.npz"


@contextmanager
def pass_seconds(backbone: DiffusionBackbone) -> Iterator[list[float]]:
    """Gives a list that grows by the wall time of every pass, attention included, in seconds."""
    seconds: list[float] = []

    def clock() -> float:
        if backbone.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter()

    def start(*_: Any) -> None:
        seconds.append(-clock())

    def stop(*_: Any) -> None:
        seconds[-1] += clock()

    denoiser = backbone.denoiser
    hooks = denoiser.register_forward_pre_hook(start), denoiser.register_forward_hook(stop)
    try:
        yield seconds
    finally:
        for hook in hooks:
            hook.remove()


def _load(file: Path) -> _Kept | None:
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _curve(criterion: str) -> str:
    return f"curve {criterion}"


def _reading(settings: TraceSettings) -> str:
    """The name under which ABDiv is kept that was read with these options."""
    return " ".join(["divergence", *(f"{k}={v}" for k, v in settings.divergence.items())])
