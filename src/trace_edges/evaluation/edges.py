"""Several folders of edge maps against one ground truth: the same images, the same protocol.

The counts of every map are kept in a file of their own, under a digest of all that they depend on,
so that a stopped run goes on and a changed map is counted again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from trace_edges.edge_folder import made_with
from trace_edges.files import write_text
from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map
from trace_edges.formats.folders import NamedFiles
from trace_edges.formats.labels import write_drawn
from trace_edges.formats.truth import GroundTruth, Segments
from trace_edges.metrics.boundaries import boundaries_from_labels, ignored_region
from trace_edges.metrics.counts import EdgeCounts, EdgeTruth, cldice, edge_counts, unit_strength
from trace_edges.metrics.edges import EdgeScores, edge_scores, spread
from trace_edges.metrics.protocol import BSDS, EdgeProtocol
from trace_edges.results import Calibration

Read = Callable[[], Any]
_COUNTS = ("matched_pred", "total_pred", "matched_gt", "total_gt")
_AFTERWARDS = ("interpolate", "cldice_dilation")  # of the protocol: they change no count
_COUNTING = 2  # of the code: another number where counts of equal maps have changed
_BRIGHT = 0.5  # of the pixels: no edge map has so many edges, but its negative has


@dataclass(frozen=True)
class Problem:
    """An image that one of the methods cannot be scored on."""

    method: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.method}: {self.reason}"


@dataclass(frozen=True)
class EdgeEvaluation:
    """Scores of every method on the images that all of them have.

    Attributes:
        scores: by method.
        cldice: by method: mean over images at the method's ODS threshold.
        maps: by method and image name: the edge map's file.
        images: names of the images that were scored.
        problems: images left out, of at least one method.
        unused: how many edge maps have no ground truth, by method.
        calibrations: of the methods that drew an edge.
        protocol: how.
    """

    scores: dict[str, EdgeScores]
    cldice: dict[str, float]
    maps: dict[str, dict[str, Path]]
    images: tuple[str, ...]
    problems: tuple[Problem, ...]
    unused: dict[str, int]
    calibrations: dict[str, Calibration]
    protocol: EdgeProtocol


def evaluate_edge_folders(
    methods: Mapping[str, Path],
    ground_truth: GroundTruth,
    protocol: EdgeProtocol = BSDS,
    *,
    cache: Path | None = None,
    workers: int = 1,
    progress: Callable[[], object] | None = None,
) -> EdgeEvaluation:
    """Score folders of edge maps side by side.

    Args:
        methods: folder of edge maps by the method's name.
        ground_truth: see `trace_edges.formats.open_ground_truth`.
        protocol: the same for all methods.
        cache: folder that keeps the counts, so that a second run goes on from there.
        workers: processes; two or more are spawned, so that a script needs its
            `if __name__ == "__main__":`.
        progress: called twice for each map: when it is counted, and when its clDice is there.

    Raises:
        ValueError: a folder holds no maps, or no image is left that all methods have.
    """
    folders = {method: NamedFiles(find_edge_maps(folder)) for method, folder in methods.items()}
    maps = {method: found.of(list(ground_truth)) for method, found in folders.items()}
    unused = {
        method: len({*found.paths.values()} - {*maps[method].values()})
        for method, found in folders.items()
    }
    problems = [
        Problem(method, name, f"{methods[method]} holds no edge map of {name}")
        for method, found in maps.items()
        for name in ground_truth
        if name not in found
    ]
    missing = {problem.name for problem in problems}
    common = [name for name in ground_truth if name not in missing]
    pairs = [(method, name) for method in maps for name in common]
    tasks = [
        _Task(maps[m][n], ground_truth[n], protocol, cache / m / f"{n}.json" if cache else None)
        for m, n in pairs
    ]
    counts: dict[str, dict[str, EdgeCounts]] = {method: {} for method in maps}
    for (method, name), result in zip(pairs, spread(_count, tasks, workers), strict=True):
        if isinstance(result, str):
            problems.append(Problem(method, name, result))
        else:
            counts[method][name] = result
        if progress is not None:
            progress()
    failed = {problem.name for problem in problems}
    images = tuple(name for name in common if name not in failed)
    if not images:
        first = f"; first, {problems[0]}" if problems else ""
        raise ValueError(f"there is no image that all methods can be scored on{first}")
    scores = {
        method: edge_scores({name: by_name[name] for name in images}, protocol)
        for method, by_name in counts.items()
    }
    dice = _mean_cldice(maps, ground_truth, images, scores, protocol, workers, progress)
    calibrations = {
        method: replace(one.calibration, made_with=made_with(folders[method].paths.values()))
        for method, one in scores.items()
        if one.calibration is not None
    }
    return EdgeEvaluation(
        scores, dice, maps, images, tuple(problems), unused, calibrations, protocol
    )


def edge_truth(annotators: Sequence[Segments], protocol: EdgeProtocol) -> EdgeTruth:
    """The boundaries of each annotator as `protocol.gt_mode` wants them.

    "given" takes drawn boundaries, and nothing counts where all annotators say nothing; the other
    modes make boundaries of the labels.

    Raises:
        ValueError: "given" and there are only labels, or another mode and there are none.
    """
    annotations = [_boundaries(one, protocol) for one in annotators]
    if protocol.void != "ignore" and protocol.gt_mode != "given":
        return EdgeTruth(annotations)
    radius = protocol.max_distance * math.hypot(*annotations[0].shape)
    ignored = [ignored_region(one.void, radius) for one in annotators]
    return EdgeTruth(annotations, np.logical_and.reduce(ignored))


def write_boundaries(truth: EdgeTruth, path: Path) -> None:
    """Write boundaries as an image: 255 an edge, 127 ignored, 0 none.

    Raises:
        ValueError: there are several annotators, for whom one image has no room.
    """
    if len(truth.annotations) > 1:
        raise ValueError(f"{path}: {len(truth.annotations)} annotators do not fit in one image")
    write_drawn(truth.annotations[0], truth.ignore, path)


@dataclass(frozen=True)
class _Task:
    prediction: Path
    truth: Read
    protocol: EdgeProtocol
    cache: Path | None = None
    threshold: float = 0.0


def _count(task: _Task) -> EdgeCounts | str:
    """The counts of one map, or what is wrong with it."""
    try:
        prediction = read_edge_map(task.prediction)
        truth = edge_truth(task.truth(), task.protocol)
    except (MemoryError, OSError, ValueError) as error:
        return str(error)
    shape = truth.annotations[0].shape
    if prediction.shape != shape:
        sizes = [f"{width} x {height}" for height, width in (prediction.shape, shape)]
        return (
            f"{task.prediction} is {sizes[0]} pixels, its ground truth {sizes[1]}: "
            "resize the smooth map before it is thinned"
        )
    if unit_strength(prediction).mean() > _BRIGHT:
        return f"{task.prediction} is mostly white; white is an edge: invert it (255 - x)"
    counting = {k: v for k, v in asdict(task.protocol).items() if k not in _AFTERWARDS}
    counting["code"] = _COUNTING
    digest = _digest(prediction, *truth.annotations, truth.ignore, counting)
    if task.cache and (kept := _kept(task.cache, digest)):
        return kept
    counts = edge_counts(prediction, truth, task.protocol)
    if task.cache:
        record = {"digest": digest} | {name: getattr(counts, name).tolist() for name in _COUNTS}
        write_text(json.dumps(record) + "\n", task.cache)
    return counts


def _kept(path: Path, digest: str) -> EdgeCounts | None:
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_bytes())
        if record["digest"] != digest:
            return None
        return EdgeCounts(*(np.array(record[name], dtype=np.int64) for name in _COUNTS))
    except (ValueError, KeyError, TypeError):  # no counts of ours: whoever writes them says so
        return None


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()


def _mean_cldice(
    maps: Mapping[str, Mapping[str, Path]],
    ground_truth: GroundTruth,
    images: tuple[str, ...],
    scores: Mapping[str, EdgeScores],
    protocol: EdgeProtocol,
    workers: int,
    progress: Callable[[], object] | None,
) -> dict[str, float]:
    tasks = [
        _Task(maps[m][n], ground_truth[n], protocol, threshold=scores[m].ods_threshold)
        for m in maps
        for n in images
    ]
    values = []
    for value in spread(_cldice, tasks, workers):
        values.append(value)
        if progress is not None:
            progress()
    per_method = np.reshape(values, (len(maps), len(images)))  # as the tasks are ordered
    return dict(zip(maps, per_method.mean(axis=1).tolist(), strict=True))


def _cldice(task: _Task) -> float:
    """The clDice of one map at one threshold, mean over annotators."""
    edges = unit_strength(read_edge_map(task.prediction)) >= task.threshold
    truth = edge_truth(task.truth(), task.protocol)
    if truth.ignore is not None:
        edges &= ~truth.ignore
    dilation = task.protocol.cldice_dilation
    return float(np.mean([cldice(edges, gt, dilation) for gt in truth.annotations]))


def _boundaries(segments: Segments, protocol: EdgeProtocol) -> Bool[np.ndarray, "h w"]:
    if protocol.gt_mode != "given":
        if segments.boundaries is not None and not segments.labels.any():
            raise ValueError(
                "the ground truth is drawn boundaries, and has no labels: choose gt_mode 'given'"
            )
        return boundaries_from_labels(
            segments.labels, protocol.gt_mode, segments.void, protocol.void
        )
    if segments.boundaries is None:
        raise ValueError(
            "the ground truth is labels, without drawn boundaries: choose gt_mode 'thin'"
        )
    return segments.boundaries
