"""From segments to the boundaries that predictions are matched with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image

from trace_edges.files import write_atomically
from trace_edges.formats.labels import EDGE, IGNORED
from trace_edges.formats.segments import Segments
from trace_edges.metrics.boundaries import boundaries_from_labels, ignored_region
from trace_edges.metrics.counts import EdgeTruth
from trace_edges.metrics.protocol import EdgeProtocol

# Kinds of ground truth that hold drawn boundaries: what "given" is the natural mode for.
DRAWN_KINDS = ("bsds", "boundaries")


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


def _boundaries(segments: Segments, protocol: EdgeProtocol) -> Bool[np.ndarray, "h w"]:
    if protocol.gt_mode != "given":
        if segments.boundaries is not None and not segments.labels.any():
            raise ValueError("the ground truth is drawn boundaries without labels: gt_mode 'given'")
        return boundaries_from_labels(
            segments.labels, protocol.gt_mode, segments.void, protocol.void
        )
    if segments.boundaries is None:
        raise ValueError("the ground truth is labels without drawn boundaries: gt_mode 'thin'")
    return segments.boundaries


def write_boundaries(truth: EdgeTruth, path: Path) -> None:
    """Write boundaries as a picture: 255 an edge, 127 ignored, 0 none.

    Raises:
        ValueError: there are several annotators, for whom one picture has no room.
    """
    if len(truth.annotations) > 1:
        raise ValueError(f"{path}: {len(truth.annotations)} annotators do not fit in one picture")
    picture = np.zeros(truth.annotations[0].shape, dtype=np.uint8)
    if truth.ignore is not None:
        picture[truth.ignore] = IGNORED
    picture[truth.annotations[0]] = EDGE
    with write_atomically(path) as temporary:
        Image.fromarray(picture).save(temporary)
