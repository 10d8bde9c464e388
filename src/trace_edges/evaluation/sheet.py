"""Where each method is worst and best, as pictures: found, false and missed edges in colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy.ndimage import maximum_filter

from trace_edges.drawing.visualize import contact_sheet
from trace_edges.evaluation.edges import EdgeEvaluation
from trace_edges.evaluation.truth import edge_truth
from trace_edges.formats.edge_maps import read_edge_map
from trace_edges.formats.segments import GroundTruth
from trace_edges.metrics.counts import EdgeTruth, unit_strength
from trace_edges.metrics.matching import match_pixels
from trace_edges.metrics.nms import suppress_non_maxima
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.metrics.thinning import thin

FOUND, FALSE, MISSED = (60, 220, 90), (255, 60, 60), (255, 200, 40)
_TILE = 320


def comparison_sheet(
    evaluation: EdgeEvaluation,
    ground_truth: GroundTruth,
    picture: Callable[[str], UInt8[np.ndarray, "h w 3"]] | None = None,
    examples: int = 3,
) -> Image.Image:
    """A row of pictures per method: its `examples` worst images, then as many best ones.

    Each shows the method's edges at its ODS threshold over the darkened image: found edges green,
    false ones red, missed ones yellow.

    Args:
        evaluation: of the methods.
        ground_truth: that they were scored on.
        picture: gives the image of a name; None draws on black.
        examples: fewer are shown of a set with fewer images.
    """
    rows = []
    for method, scores in evaluation.scores.items():
        by_f = sorted(scores.image_f, key=lambda name: (scores.image_f[name], name))
        chosen = by_f if len(by_f) <= 2 * examples else by_f[:examples] + by_f[-examples:]
        row = []
        for name in chosen:
            truth = edge_truth(ground_truth[name](), evaluation.protocol)
            path = evaluation.maps[method][name]
            lines = _lines(path, scores.ods_threshold, evaluation.protocol)
            under = picture(name) if picture else np.zeros((*lines.shape, 3), np.uint8)
            title = f"{method}  F {scores.image_f[name]:.2f}  {name}"
            row.append((title, mistakes(under, lines, truth, evaluation.protocol)))
        rows.append(row)
    return contact_sheet(rows, _TILE)


def mistakes(
    picture: UInt8[np.ndarray, "h w 3"],
    lines: Bool[np.ndarray, "h w"],
    truth: EdgeTruth,
    protocol: EdgeProtocol,
) -> Image.Image:
    """Found, false and missed edges over the darkened picture, widened so that they show.

    Of several annotators the missed edges are those of the first.
    """
    radius = protocol.max_distance * math.hypot(*lines.shape)
    matched, found = zip(
        *(match_pixels(lines, gt, radius) for gt in truth.annotations), strict=True
    )
    right = np.logical_or.reduce(matched)
    wrong = lines & ~right
    if truth.ignore is not None:
        wrong &= ~truth.ignore
    canvas = picture // 3
    width = max(1, round(max(lines.shape) / _TILE))
    layers: Mapping[tuple[int, int, int], np.ndarray] = {
        MISSED: truth.annotations[0] & ~found[0],
        FALSE: wrong,
        FOUND: right,
    }
    for colour, mask in layers.items():
        canvas[maximum_filter(mask, size=width)] = colour
    return Image.fromarray(canvas)


def _lines(path: Path, threshold: float, protocol: EdgeProtocol) -> Bool[np.ndarray, "h w"]:
    strength = unit_strength(read_edge_map(path))
    if protocol.nms:
        strength = suppress_non_maxima(strength)
    edges = strength >= threshold
    return thin(edges) if protocol.thin else edges
