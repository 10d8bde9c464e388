"""Edge quality: ODS, OIS, AP and R50 by the BSDS protocol (Arbelaez et al., PAMI 2011).

Every prediction is cut at a ladder of thresholds, thinned and matched one to one with the ground
truth (`matching`). Four counts per threshold are kept of an image; they add up over images, and
every score comes from them. The formulas, with their corners, are those of the Structured Edge
Detection Toolbox (Dollar and Zitnick, PAMI 2015), which agrees with the BSDS500 benchmark.
"""

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import reduce
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np

from trace_edges import outputs
from trace_edges.metrics.calibration import calibrate
from trace_edges.metrics.counts import (
    Annotation,
    Curve,
    EdgeCounts,
    EdgeTruth,
    Prediction,
    edge_counts,
    f_measure,
)
from trace_edges.metrics.protocol import BSDS, EdgeProtocol
from trace_edges.results import Calibration, EdgeMap
from trace_edges.results.labels import plain_array

Truth = Annotation | Sequence[Annotation] | EdgeTruth
PredictionSource = Prediction | EdgeMap | Callable[[], Prediction | EdgeMap]
TruthSource = Truth | Callable[[], Truth]
Task = tuple[str, Any, Any, EdgeProtocol]  # name, prediction, ground truth
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class EdgeScores:
    """Scores in [0, 1] over a set of images, with the protocol that made them.

    Attributes:
        ods, ods_threshold, ods_precision, ods_recall: best F of the counts pooled over images at
            one common threshold, and where it is.
        ois: F of the pooled counts when every image uses its own best threshold.
        ap: area under the precision-recall curve as the toolbox sums it, 101 samples over 100
            and nothing outside the recalls that occur. A binary prediction, of one recall, has no
            such curve: its AP is precision times recall (the toolbox says 0).
        r50: recall at precision 0.5; 0 if that precision is never reached.
        image_f: best F of each image by name.
        thresholds, precision, recall: the pooled curves.
        calibration: from strengths to the share of such lines that is true; None where no edge
            reaches the first threshold.
    """

    ods: float
    ods_threshold: float
    ods_precision: float
    ods_recall: float
    ois: float
    ap: float
    r50: float
    image_f: dict[str, float]
    thresholds: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    protocol: EdgeProtocol
    calibration: Calibration | None


def edge_scores(counts: Mapping[str, EdgeCounts], protocol: EdgeProtocol = BSDS) -> EdgeScores:
    """Scores of a set of images from the counts of each; `ValueError` when there is none."""
    if not counts:
        raise ValueError("no image to evaluate: the collections are empty")
    pooled = reduce(operator.add, counts.values())
    own_best = reduce(operator.add, (one.at(int(np.argmax(one.f))) for one in counts.values()))
    return EdgeScores(
        *_best_point(pooled, protocol),
        ois=float(own_best.f[0]),
        ap=_average_precision(pooled.precision, pooled.recall),
        r50=_recall_at_half(pooled.precision, pooled.recall),
        image_f={name: _best_point(one, protocol)[0] for name, one in counts.items()},
        thresholds=tuple(protocol.levels.tolist()),
        precision=tuple(pooled.precision.tolist()),
        recall=tuple(pooled.recall.tolist()),
        protocol=protocol,
        calibration=calibrate(pooled, protocol),
    )


def evaluate_edges(
    predictions: EdgeMap | Collection[PredictionSource] | Mapping[str, PredictionSource],
    ground_truth: Collection[TruthSource] | Mapping[str, TruthSource],
    *,
    protocol: EdgeProtocol = BSDS,
    workers: int = 1,
    progress: Callable[[int], object] | None = None,
) -> EdgeScores:
    """Score edge maps against boundary maps; order and workers do not change a score.

    Args:
        predictions: edge maps as in `edge_counts`, in a list parallel to the ground truth or in
            a mapping with the same names. An entry may be a function without arguments that
            returns the map, such as `functools.partial(read, path)`: it is called in the worker
            when the image is due, so that a large set never lies in memory. Of an `EdgeMap`, the
            whole or an entry (one image), the thin edges are scored. One map may come alone.
        ground_truth: boundary maps, or lists of them, one per annotator, or such functions.
        protocol: the settings, kept in the result.
        workers: processes that share the images. Two or more are spawned, so a script must call
            this under `if __name__ == "__main__":`, and functions must be picklable.
        progress: called after each image with the number of images done.

    Returns:
        ODS, OIS, AP and R50 in [0, 1], with the precision-recall curves.

    Raises:
        TypeError, ValueError: as in `edge_counts`, with the image's name; also when the
            collections are empty or do not belong together.
    """
    predictions, ground_truth = _by_name(predictions), _by_name(ground_truth)
    alone = predictions.keys() ^ ground_truth.keys()
    if alone:
        raise ValueError(f"image {min(alone)} lacks its prediction or its ground truth: give both")
    tasks = ((name, predictions[name], ground_truth[name], protocol) for name in predictions)
    counts = {}
    for name, image_counts in spread(_count, tasks, workers):
        counts[name] = image_counts
        if progress is not None:
            progress(len(counts))
    return edge_scores(counts, protocol)


def spread(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Results in the order of the items; two or more workers are spawned processes.

    What is interrupted or fails gives up the items that no worker has begun.

    Raises:
        ValueError: `workers` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    if workers == 1:
        yield from map(function, items)
        return
    guard = outputs.current()  # holds in the workers too
    begin = None if guard is None else guard.keep
    pool = ProcessPoolExecutor(workers, get_context("spawn"), begin)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _by_name(entries: EdgeMap | Collection[Any] | Mapping[Any, Any]) -> Mapping[Any, Any]:
    if isinstance(entries, EdgeMap):
        entries = list(entries.thin)
    elif getattr(entries, "ndim", None) == 2:  # an array or a tensor
        entries = [entries]
    return entries if isinstance(entries, Mapping) else {str(i): e for i, e in enumerate(entries)}


def _count(task: Task) -> tuple[str, EdgeCounts]:
    name, prediction, truth, protocol = task
    strength = prediction() if callable(prediction) else prediction
    if isinstance(strength, EdgeMap):
        (strength,) = strength.thin
    drawn = truth() if callable(truth) else truth
    if not isinstance(drawn, EdgeTruth):
        single = getattr(drawn, "ndim", None) == 2  # of one annotator
        drawn = [plain_array(one) for one in ([drawn] if single else drawn)]
    try:
        return name, edge_counts(plain_array(strength), drawn, protocol)
    except (TypeError, ValueError) as error:
        raise type(error)(f"image {name}: {error}") from error


def _best_point(counts: EdgeCounts, protocol: EdgeProtocol) -> tuple[float, float, float, float]:
    """Best F with its threshold, precision and recall; among equals at the lowest threshold."""
    curves = np.stack([protocol.levels, counts.precision, counts.recall])
    if protocol.interpolate and protocol.thresholds > 1:
        share = np.linspace(0, 1, 100)
        between = curves[:, 1:, None] * share + curves[:, :-1, None] * (1 - share)
        curves = between.reshape(3, -1)
    f = f_measure(curves[1], curves[2])
    best = int(np.argmax(f))
    threshold, precision, recall = curves[:, best].tolist()
    return float(f[best]), threshold, precision, recall


def _average_precision(precision: Curve, recall: Curve) -> float:
    recall, first = np.unique(recall, return_index=True)
    if len(recall) == 1:
        return float(precision[first[0]] * recall[0])
    samples = np.arange(101) / 100
    samples = samples[(samples >= recall[0]) & (samples <= recall[-1])]
    # Over 100, not 101: the toolbox's own slip, kept so that numbers can be compared.
    return float(np.interp(samples, recall, precision[first]).sum() / 100)


def _recall_at_half(precision: Curve, recall: Curve) -> float:
    precision, first = np.unique(precision, return_index=True)
    if precision[-1] < 0.5:
        return 0.0
    return float(np.interp(max(0.5, precision[0]), precision, recall[first]))
