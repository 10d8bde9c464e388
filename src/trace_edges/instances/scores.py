"""How likely a region of the tree is a thing: a logistic regression on its shape and its edges.

Four properties of a region decide: the share of the image that it has, the strength at which it
merges with another, how much of its outline is the frame of the image, and how compact it is. The
constants were fitted to the regions of our edges, on photographs with true masks, in two steps: by
how well the regions that fit a thing best do so, for the order; and by the share of candidates that
reach an IoU of 0.5 with a thing, for the scale. So about half of the masks with a score of 0.5
reach it. Edges of other detectors, whose strengths mean something else, keep a sensible order.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.special import expit

from trace_edges.instances.components import Origin
from trace_edges.instances.hierarchy import Hierarchy

# Log odds, by what drew the edges: a constant, then one number for each column of `properties`;
# what `python -m benchmarks.masks.score_weights` prints.
_OF_DETECTOR = (0.9933, -0.6613, -0.0879, 1.7157, -2.7168, 0.8991)
WEIGHTS: dict[Origin, tuple[float, ...]] = {
    "detector": _OF_DETECTOR,
    "image-alone": (0.6802, -0.5822, -0.0739, 1.9169, -2.673, 1.0531),
    "calibrated": (1.1692, -0.5425, -0.0739, 1.7493, -2.9435, 0.9111),
    "training-free": _OF_DETECTOR,  # not fitted: the order is sensible, the scale is not known
}


def node_scores(tree: Hierarchy) -> Float64[np.ndarray, " nodes"]:
    """For each node, the estimated probability in [0, 1] that its IoU with some thing is at least
    0.5.
    """
    constant, *weights = WEIGHTS[tree.origin]
    scores: Float64[np.ndarray, " nodes"] = expit(constant + properties(tree) @ weights)
    return scores


def properties(tree: Hierarchy) -> Float64[np.ndarray, "nodes 5"]:
    """What the scores rest on, of each node: the logarithm of its share of the image, the square of
    that, the logarithm of the strength at which it is merged, the share of its outline that is the
    frame, and the logarithm of its compactness, 4 pi area / outline^2.
    """
    labels = tree.labels
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    frame = tree.totals(np.bincount(border, minlength=tree.leaves))
    outline = tree.outlines + frame
    share = np.log(tree.areas / labels.size)
    compact = np.log(4 * np.pi * tree.areas / outline.astype(np.float64) ** 2)
    strength = np.log(tree.deaths + 1e-3)
    return np.stack([share, share**2, strength, frame / outline, compact], axis=1)
