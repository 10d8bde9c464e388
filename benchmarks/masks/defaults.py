"""Panoptic maps at the defaults of BGP, beside no edges, and with what slivers do.

    OMP_NUM_THREADS=1 python -m benchmarks.masks.defaults IMAGES PANOPTIC_JSON \
        --edges trace=DIR --out OUT

The semantic maps are the ground truth's, merged by class, so that only the splitting is measured.
Edges are cut at their strength, as `trace-edges panoptic` cuts them. "trace and true" are true
boundaries with the edges of the detector beside them, a little weaker: what a detector would give
that misses nothing. Writes defaults.json and defaults.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks._shared.reports import markdown, write_json, write_text
from benchmarks.masks.panoptic import scores_of
from benchmarks.masks.photographs import (
    NOTHING,
    SHUFFLED,
    TRUTH,
    Collection,
    Photograph,
    collect,
    command_line,
    edges_at,
    thin_levels,
)
from trace_edges.instances import Propagation, panoptic_from_semantic
from trace_edges.metrics.panoptic import Panoptic, PanopticCounts, SegmentInfo, panoptic_counts

BOTH = "trace and true"
SETTINGS = {
    "0.5, hysteresis 0.5, no slivers": Propagation(threshold=0.5, hysteresis=0.5, min_radius=0),
    "0.6, hysteresis 0.8, no slivers": Propagation(min_radius=0),
    "slivers of 2.5 px (default)": Propagation(),
    "slivers of 3 px": Propagation(min_radius=3),
    "slivers of 4 px": Propagation(min_radius=4),
}
Draw = Callable[[Photograph, Panoptic], np.ndarray]


def edges_of(method: str, data: Collection) -> Draw:
    """(h, w) strengths in [0, 1] of one kind of edges."""

    def by_strength(photograph: Photograph, truth: Panoptic) -> np.ndarray:
        if method == BOTH:
            true = edges_at(photograph, truth, TRUTH, None, data.strengths)
            found = thin_levels(photograph, "trace", truth.ids.shape)
            return np.maximum(true, 0.9 * found.astype(np.float32) / 255)
        if method in (NOTHING, TRUTH):
            return edges_at(photograph, truth, method, None, data.strengths)
        levels = thin_levels(photograph, method, truth.ids.shape)
        return levels.astype(np.float32) / 255

    return by_strength


def counts_of(
    photograph: Photograph, data: Collection, draw: Draw, how: Propagation
) -> PanopticCounts:
    """Matches of one photograph, by class."""
    truth = photograph.truth()
    semantic = np.array([0, *(segment.category for segment in truth.segments)])[truth.places]
    things = {category.id for category in data.categories if category.thing}
    edges = draw(photograph, truth)
    found = panoptic_from_semantic(semantic, edges, things, void=0, propagation=how)
    prediction = Panoptic(found.ids, [SegmentInfo(s.id, s.category) for s in found.segments])
    return panoptic_counts(prediction, truth, data.categories)


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    data = collect(
        arguments.images, arguments.panoptic, arguments.edges, arguments.out, arguments.limit
    )
    rows = []
    for method in (NOTHING, SHUFFLED, "canny", "trace", BOTH, TRUTH):
        draw = edges_of(method, data)
        for name, how in SETTINGS.items() if method != NOTHING else [("", Propagation())]:
            row = {"edges": method, "settings": name}
            for half, photographs in (("odd", data.odd), ("even", data.even)):
                counts = [counts_of(one, data, draw, how) for one in photographs]
                row[half] = scores_of(counts, data.categories)
            rows.append(row)
            print(method, name, f"{100 * row['even']['pooled']:.1f}", flush=True)
    write_json({"rows": rows}, arguments.out / "defaults.json")
    header = ("edges", "settings", "odd: PQ of things, pooled", "false", "even: the same", "false")
    lines = [
        (row["edges"], row["settings"], *(
            text for half in ("odd", "even")
            for text in (f"{100 * row[half]['pooled']:.1f}", f"{row[half]['fp']:.0f}")
        ))
        for row in rows
    ]  # fmt: skip
    text = markdown(header, lines)
    write_text(text, arguments.out / "defaults.md")
    print(text)


if __name__ == "__main__":
    main()
