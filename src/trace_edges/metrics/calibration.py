"""What strengths are worth, from the counts of a set of images."""

import numpy as np
from scipy.optimize import isotonic_regression

from trace_edges.metrics.counts import Curve, EdgeCounts
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.results.calibration import Calibration


def calibrate(counts: EdgeCounts, protocol: EdgeProtocol) -> Calibration | None:
    """The curve from strength to precision that never falls and fits the counts best.

    The pixels that one threshold keeps and the next does not have a strength between the two, and
    a share of them is matched. Where these shares fall, neighbours are pooled (isotonic
    regression); a point of the curve is the mean of its pool.

    Args:
        counts: of all images together.
        protocol: that they were counted by.

    Returns:
        None where no edge reaches the first threshold.
    """
    middles, shares, pixels = shares_by_strength(counts, protocol)
    seen = pixels > 0
    if not seen.any():
        return None
    middles, shares, pixels = middles[seen], shares[seen], pixels[seen]
    fitted = isotonic_regression(shares, weights=pixels)
    first = fitted.blocks[:-1]
    strengths = np.add.reduceat(middles * pixels, first) / np.add.reduceat(pixels, first)
    return Calibration(
        strengths=tuple(strengths.tolist()), precision=tuple(fitted.x[first].tolist())
    )


def shares_by_strength(counts: EdgeCounts, protocol: EdgeProtocol) -> tuple[Curve, Curve, Curve]:
    """From each threshold to the next: the strength in the middle, the share of the pixels between
    the two that is matched, 0 where there is none, and the number of these pixels.
    """
    pixels, matched = (
        np.maximum(-np.diff(every, append=0), 0)
        for every in (counts.total_pred, counts.matched_pred)
    )
    middles = (protocol.levels + np.append(protocol.levels[1:], 1)) / 2
    shares = np.where(pixels > 0, matched / np.maximum(pixels, 1), 0)
    return middles, shares.clip(0, 1), pixels
