"""One photograph in every row of a plan: its edges, and how many of their pixels are right."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from benchmarks.ablation.plan import Plan, Row
from benchmarks.ablation.trajectories import RememberingPipeline
from trace_edges import __version__
from trace_edges.backbones import DiffusionBackbone
from trace_edges.evaluation.edges import edge_truth
from trace_edges.evaluation.peers import PEERS
from trace_edges.files import write_atomically
from trace_edges.formats.truth import Segments
from trace_edges.images import load_image
from trace_edges.loading import Loading
from trace_edges.metrics.counts import EdgeCounts, EdgeTruth, Prediction, edge_counts
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.training_free.ridges import draw_edges

Half = Literal["odd", "even"]


@dataclass(frozen=True)
class Photograph:
    """One photograph of a plan; `half` is its place in the folder, sorted: 1st, 3rd, ... odd."""

    name: str
    path: Path
    half: Half
    truth: Callable[[], Sequence[Segments]]


@dataclass(frozen=True)
class Reading:
    """One photograph in one row: pixels counted, the step that was read, seconds of the model."""

    counts: EdgeCounts
    timestep: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Task:
    """Score the edges of a donor, which is the photograph itself but for controls."""

    photograph: Photograph
    donor: Path
    rows: tuple[Row, ...]
    peers: tuple[str, ...] = ()


def measure(plan: Plan, out: Path, task: Task) -> dict[str, Reading]:
    """Every row and peer of a task, by name.

    Raises:
        ImageError: an image cannot be used.
        ValueError: the ground truth cannot be read or is of another size.
    """
    path = task.photograph.path
    image = load_image(path)
    donor = image if task.donor == path else load_image(task.donor)
    truth = edge_truth(task.photograph.truth(), plan.protocol)
    if truth.annotations[0].shape != image.shape[:2]:
        height, width = truth.annotations[0].shape
        raise ValueError(
            f"{path} is {image.shape[0]} x {image.shape[1]} px, its ground truth {height} x "
            f"{width}: give the photograph that was annotated"
        )
    counter = _Counter(out / "counts", truth, plan.protocol)
    found = {
        peer: Reading(counter.count((peer, image), partial(PEERS[peer], image)))
        for peer in task.peers
    }
    pipe = pipeline(plan, out)
    for row in task.rows:
        before = pipe.seconds
        (reading,) = pipe.read([pipe.prepare(donor, row.settings)], row.settings)
        described = pipe.describe(row.settings)
        drawing = _Drawing(
            reading.values,
            (image.shape[0], image.shape[1]),
            described["subcell"],
            described["half_edge"],
        )
        counts = counter.count(astuple(drawing), drawing.draw)
        found[row.name] = Reading(counts, reading.timestep, pipe.seconds - before)
    return found


@lru_cache(maxsize=1)
def pipeline(plan: Plan, out: Path) -> RememberingPipeline:
    """The model of a plan, loaded once in each process; worker processes use one thread.

    Raises:
        ValueError: it is an encoder, which has no trajectory to compare settings of.
    """
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)
    loading = Loading(**vars(plan.load), device=plan.device, dtype=plan.dtype)
    backbone = loading.load_pipeline(plan.backbone).backbone
    if not isinstance(backbone, DiffusionBackbone):
        raise ValueError(f"{plan.backbone} is an encoder: an ablation needs a diffusion model")
    return RememberingPipeline(backbone, out / "walks", [row.settings for row in plan.rows])


@dataclass(frozen=True, eq=False)
class _Drawing:
    raw: Float32[np.ndarray, "gh gw"]
    size: tuple[int, int]
    subcell: int
    half_edge: float | None

    def draw(self) -> UInt8[np.ndarray, "h w"]:
        """What `trace-edges detect` writes: thin lines in 255 levels."""
        edges, ridges = draw_edges(self.raw, self.size, self.subcell, self.half_edge)
        return np.rint(np.where(ridges, edges, 0) * 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Counter:
    """Counts on disk: rows that chose the same step have the same edges, and are counted once."""

    folder: Path
    truth: EdgeTruth
    protocol: EdgeProtocol

    def count(self, source: Sequence[Any], predict: Callable[[], Prediction]) -> EdgeCounts:
        """The counts of what `predict` makes of `source`."""
        ignored = [] if self.truth.ignore is None else [self.truth.ignore]
        parts = [__version__, self.protocol, *self.truth.annotations, *ignored, *source]
        file = self.folder / f"{_digest(parts)}.npy"
        if not file.exists():
            counted = edge_counts(predict(), self.truth, self.protocol)
            with write_atomically(file) as temporary:
                np.save(temporary, np.stack(astuple(counted)))
        return EdgeCounts(*np.load(file, allow_pickle=False))


def _digest(parts: Sequence[Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(part.tobytes())
        else:
            digest.update(f"{part!r};".encode())
    return digest.hexdigest()
