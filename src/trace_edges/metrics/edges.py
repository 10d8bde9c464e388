"""Edge quality: ODS, OIS, AP and R50 by the BSDS protocol (Arbelaez et al., PAMI 2011).

Every prediction is cut at a ladder of thresholds, thinned and matched one to one with the ground
truth (`matching`). Four counts per threshold are kept of an image; they add up over images, and
every score comes from them. The formulas, with their corners, are those of the Structured Edge
Detection Toolbox (Dollar and Zitnick, PAMI 2015), which agrees with the BSDS500 benchmark.
"""

import math
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from functools import reduce
from multiprocessing import get_context
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt16

from trace_edges.metrics.boundaries import BoundaryMode
from trace_edges.metrics.matching import match_pixels
from trace_edges.metrics.thinning import thin

Prediction = Float[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]
Annotation = Bool[np.ndarray, "h w"]
PredictionSource = Prediction | Callable[[], Prediction]
TruthSource = Annotation | Sequence[Annotation] | Callable[[], Annotation | Sequence[Annotation]]
Curve = Float[np.ndarray, " n"]
Task = tuple[str, Any, Any, "EdgeProtocol"]  # name, prediction, ground truth

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class EdgeProtocol:
    """What must be said beside an edge score; the defaults are those of BSDS.

    Attributes:
        thresholds: how many thresholds; they are i / (thresholds + 1), i = 1 ... thresholds.
        max_distance: the largest distance of a matched pair, as a fraction of the image diagonal.
        thin: whether predictions are thinned to lines of one pixel after the threshold.
        gt_mode: how the ground truth was made (`boundaries_from_labels`), or "given" when it
            was drawn. A record only: no ground truth is changed here.
        interpolate: whether the best F is sought between neighbouring thresholds too, along
            straight lines of precision and recall, as in the Structured Edge Detection Toolbox.
    """

    thresholds: int = 99
    max_distance: float = 0.0075
    thin: bool = True
    gt_mode: BoundaryMode | Literal["given"] = "thin"
    interpolate: bool = True

    def __post_init__(self) -> None:
        if self.thresholds < 1:
            raise ValueError(f"thresholds must be 1 or more, not {self.thresholds}")
        if not 0 <= self.max_distance <= 1:
            raise ValueError(f"max_distance is 0 to 1 image diagonal, not {self.max_distance}")
        if self.gt_mode not in (modes := (*get_args(BoundaryMode), "given")):
            raise ValueError(f"unknown gt_mode {self.gt_mode!r}: choose from {', '.join(modes)}")

    @property
    def levels(self) -> Curve:
        """The thresholds, rising, all above 0 and below 1."""
        return np.arange(1, self.thresholds + 1) / (self.thresholds + 1)


BSDS = EdgeProtocol()


@dataclass(frozen=True, eq=False)
class EdgeCounts:
    """Pixels counted at each threshold, of one image or summed over several.

    `matched_gt` and `total_gt` are sums over annotators; a predicted pixel matched with any
    annotator's counts once.
    """

    matched_pred: Int64[np.ndarray, " n"]
    total_pred: Int64[np.ndarray, " n"]
    matched_gt: Int64[np.ndarray, " n"]
    total_gt: Int64[np.ndarray, " n"]

    def __add__(self, other: "EdgeCounts") -> "EdgeCounts":
        return EdgeCounts(*map(np.add, astuple(self), astuple(other)))

    def at(self, k: int) -> "EdgeCounts":
        """The counts at the k-th threshold alone."""
        return EdgeCounts(*(counts[k : k + 1] for counts in astuple(self)))

    @property
    def precision(self) -> Curve:
        """Matched share of the predicted pixels; 0 where nothing is predicted."""
        return self.matched_pred / np.maximum(EPS, self.total_pred)

    @property
    def recall(self) -> Curve:
        """Matched share of the true pixels; 0 where there are none."""
        return self.matched_gt / np.maximum(EPS, self.total_gt)

    @property
    def f(self) -> Curve:
        """Harmonic mean of precision and recall; 0 where both are."""
        return _f(self.precision, self.recall)


@dataclass(frozen=True)
class EdgeScores:
    """Scores in [0, 1] over a set of images, with the protocol that made them.

    Attributes:
        ods, ods_threshold, ods_precision, ods_recall: best F of the counts pooled over images at
            one common threshold, and where it is.
        ois: F of the pooled counts when every image uses its own best threshold.
        ap: area under the precision-recall curve as the toolbox sums it, 101 samples over 100
            and nothing outside the recalls that occur; 0 for a binary prediction, of one recall.
        r50: recall at precision 0.5; 0 if that precision is never reached.
        image_f: best F of each image by name.
        thresholds, precision, recall: the pooled curves.
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


def edge_counts(
    prediction: Prediction, annotations: Sequence[Annotation], protocol: EdgeProtocol = BSDS
) -> EdgeCounts:
    """Count predicted, true and matched pixels of one image at every threshold.

    Args:
        prediction: (h, w) edge strength: floats in [0, 1], or uint8 or uint16 whose largest
            value stands for 1. A pixel is an edge where its strength reaches the threshold.
        annotations: (h, w) boundary maps, one per annotator.
        protocol: thresholds, tolerance and thinning.

    Raises:
        TypeError: a map has an unsuited dtype.
        ValueError: a shape is wrong or differs, a strength leaves [0, 1], or nobody annotated.
    """
    strength = _unit_strength(prediction)
    if not len(annotations):
        raise ValueError("there is no annotation: give at least one boundary map")
    radius = protocol.max_distance * math.hypot(*strength.shape)
    total_gt = int(sum(gt.sum() for gt in annotations))
    counts = np.zeros((4, protocol.thresholds), dtype=np.int64)
    previous = -1
    # Levels in the strength's own precision: a float32 of 0.7 reaches the threshold 0.7.
    for k, level in enumerate(protocol.levels.astype(strength.dtype)):
        edges = strength >= level
        size = int(edges.sum())
        if size == previous:  # the maps are nested, so as many pixels are the same pixels
            counts[:, k] = counts[:, k - 1]
            continue
        previous = size
        if protocol.thin:
            edges = thin(edges)
        matched, found = zip(*(match_pixels(edges, gt, radius) for gt in annotations), strict=True)
        with_any = np.logical_or.reduce(matched)
        counts[:, k] = with_any.sum(), edges.sum(), np.sum(found), total_gt
    return EdgeCounts(*counts)


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
    )


def evaluate_edges(
    predictions: Collection[PredictionSource] | Mapping[str, PredictionSource],
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
            when the image is due, so that a large set never lies in memory.
        ground_truth: boundary maps, or lists of them, one per annotator, or such functions.
        protocol: the settings, kept in the result.
        workers: processes that share the images. Two or more are spawned, so a script must call
            this under `if __name__ == "__main__":`, and functions must be picklable.
        progress: called after each image with the number of images done.

    Raises:
        TypeError, ValueError: as in `edge_counts`, with the image's name; also when the
            collections are empty or do not belong together.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    predictions, ground_truth = _by_name(predictions), _by_name(ground_truth)
    alone = predictions.keys() ^ ground_truth.keys()
    if alone:
        raise ValueError(f"image {min(alone)} lacks its prediction or its ground truth: give both")
    tasks = ((name, predictions[name], ground_truth[name], protocol) for name in predictions)
    counted = map(_count, tasks) if workers == 1 else _count_in_processes(tasks, workers)
    counts = {}
    for name, image_counts in counted:
        counts[name] = image_counts
        if progress is not None:
            progress(len(counts))
    return edge_scores(counts, protocol)


def _by_name(entries: Collection | Mapping) -> Mapping:
    return entries if isinstance(entries, Mapping) else {str(i): e for i, e in enumerate(entries)}


def _count_in_processes(tasks: Iterable[Task], workers: int) -> Iterator[tuple[str, EdgeCounts]]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_count, tasks)


def _count(task: Task) -> tuple[str, EdgeCounts]:
    name, prediction, truth, protocol = task
    strength = prediction() if callable(prediction) else prediction
    drawn = truth() if callable(truth) else truth
    try:
        single = isinstance(drawn, np.ndarray) and drawn.ndim == 2
        return name, edge_counts(strength, [drawn] if single else drawn, protocol)
    except (TypeError, ValueError) as error:
        raise type(error)(f"image {name}: {error}") from error


def _unit_strength(prediction: Prediction) -> Float[np.ndarray, "h w"]:
    """The prediction as floats, checked to be one map in [0, 1]."""
    if prediction.ndim != 2:
        raise ValueError(f"a prediction must be one map (h, w), not {prediction.shape}")
    if prediction.dtype in (np.uint8, np.uint16):
        return prediction / np.iinfo(prediction.dtype).max
    if not np.issubdtype(prediction.dtype, np.floating):
        raise TypeError(f"a prediction must be float, uint8 or uint16, not {prediction.dtype}")
    if prediction.size and not (prediction.min() >= 0 and prediction.max() <= 1):
        raise ValueError("a prediction must stay in [0, 1]: rescale all images by one rule")
    return prediction


def _f(precision: Curve, recall: Curve) -> Curve:
    return 2 * precision * recall / np.maximum(EPS, precision + recall)


def _best_point(counts: EdgeCounts, protocol: EdgeProtocol) -> tuple[float, float, float, float]:
    """Best F with its threshold, precision and recall; among equals at the lowest threshold."""
    curves = np.stack([protocol.levels, counts.precision, counts.recall])
    if protocol.interpolate and protocol.thresholds > 1:
        share = np.linspace(0, 1, 100)
        between = curves[:, 1:, None] * share + curves[:, :-1, None] * (1 - share)
        curves = between.reshape(3, -1)
    f = _f(curves[1], curves[2])
    best = int(np.argmax(f))
    threshold, precision, recall = curves[:, best].tolist()
    return float(f[best]), threshold, precision, recall


def _average_precision(precision: Curve, recall: Curve) -> float:
    recall, first = np.unique(recall, return_index=True)
    if len(recall) == 1:
        return 0.0
    samples = np.arange(101) / 100
    samples = samples[(samples >= recall[0]) & (samples <= recall[-1])]
    # Over 100, not 101: the toolbox's own slip, kept so that numbers can be compared.
    return float(np.interp(samples, recall, precision[first]).sum() / 100)


def _recall_at_half(precision: Curve, recall: Curve) -> float:
    precision, first = np.unique(precision, return_index=True)
    if precision[-1] < 0.5:
        return 0.0
    return float(np.interp(max(0.5, precision[0]), precision, recall[first]))
