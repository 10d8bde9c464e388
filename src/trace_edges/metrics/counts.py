"""One image: pixels counted and matched at every threshold, and clDice.

The counts are all that edge scores are made of, but for clDice.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
from scipy.ndimage import binary_dilation
from skimage.morphology import skeletonize

from trace_edges.metrics.lines import SUPPRESSIONS, thin
from trace_edges.metrics.matching import match_pixels
from trace_edges.metrics.protocol import BSDS, EdgeProtocol

Prediction = Float[np.ndarray, "h w"] | UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]
Annotation = Bool[np.ndarray, "h w"]
Curve = Float[np.ndarray, " n"]

EPS = float(np.finfo(np.float64).eps)


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
        return f_measure(self.precision, self.recall)


@dataclass(frozen=True, eq=False)
class EdgeTruth:
    """The boundaries of one image.

    Attributes:
        annotations: (h, w) boundary maps, one per annotator.
        ignore: (h, w) where a predicted pixel that no true one matches is not counted at all.
    """

    annotations: Sequence[Annotation]
    ignore: Bool[np.ndarray, "h w"] | None = None


def edge_counts(
    prediction: Prediction,
    annotations: Sequence[Annotation] | EdgeTruth,
    protocol: EdgeProtocol = BSDS,
) -> EdgeCounts:
    """Count predicted, true and matched pixels of one image at every threshold.

    Args:
        prediction: (h, w) edge strength: floats in [0, 1], or uint8 or uint16 whose largest
            value stands for 1. A pixel is an edge where its strength reaches the threshold.
        annotations: (h, w) boundary maps, one per annotator, or an `EdgeTruth`.
        protocol: thresholds, tolerance, thinning and suppression.

    Raises:
        TypeError: a map has an unsuited dtype.
        ValueError: a shape is wrong or differs, a strength leaves [0, 1], or nobody annotated.
    """
    truth = annotations if isinstance(annotations, EdgeTruth) else EdgeTruth(annotations)
    if not len(truth.annotations):
        raise ValueError("there is no annotation: give at least one boundary map")
    strength = unit_strength(prediction)
    strength = SUPPRESSIONS[protocol.nms](strength)
    radius = protocol.max_distance * math.hypot(*strength.shape)
    total_gt = int(sum(gt.sum() for gt in truth.annotations))
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
        pairs = (match_pixels(edges, gt, radius) for gt in truth.annotations)
        matched, found = zip(*pairs, strict=True)
        with_any = np.logical_or.reduce(matched)
        if truth.ignore is not None:
            edges &= with_any | ~truth.ignore
        counts[:, k] = with_any.sum(), edges.sum(), np.sum(found), total_gt
    return EdgeCounts(*counts)


def unit_strength(prediction: Prediction) -> Float[np.ndarray, "h w"]:
    """The prediction as floats, checked to be one map in [0, 1]."""
    if prediction.ndim != 2:
        raise ValueError(f"a prediction must be one map (h, w), not {prediction.shape}")
    if prediction.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return prediction / np.iinfo(prediction.dtype).max
    if not np.issubdtype(prediction.dtype, np.floating):
        raise TypeError(f"a prediction must be float, uint8 or uint16, not {prediction.dtype}")
    if prediction.size and not (prediction.min() >= 0 and prediction.max() <= 1):
        raise ValueError("a prediction must lie in [0, 1]: rescale all images in the same way")
    return prediction


def f_measure(precision: Curve, recall: Curve) -> Curve:
    return 2 * precision * recall / np.maximum(EPS, precision + recall)


def cldice(
    prediction: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"], dilation: int = 0
) -> float:
    """Harmonic mean of topology precision and sensitivity, in [0, 1]: how far prediction and
    ground truth contain each other's centre lines (Shit et al., CVPR 2021).

    Precision is the share of the prediction's skeleton inside the truth, sensitivity the share of
    the truth's skeleton inside the prediction. There is no tolerance: a line of one pixel, moved
    by one, scores about 0.3. Widening both sides by some pixels gives it one.

    Args:
        prediction: (h, w) edge pixels.
        truth: (h, w) true edge pixels.
        dilation: px by which both are widened, as squares of side 2 * dilation + 1.

    Returns:
        1 where both are empty, 0 where only one is.
    """
    if not prediction.any() or not truth.any():
        return float(prediction.any() == truth.any())
    if dilation:
        square = np.ones((2 * dilation + 1,) * 2, dtype=bool)
        prediction, truth = binary_dilation(prediction, square), binary_dilation(truth, square)
    precision = truth[skeletonize(prediction)].mean()
    sensitivity = prediction[skeletonize(truth)].mean()
    total = precision + sensitivity
    return float(2 * precision * sensitivity / total) if total else 0.0
