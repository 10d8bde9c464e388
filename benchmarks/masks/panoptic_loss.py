"""What is still lost where true boundaries split true semantic maps: every error has one cause.

    python -m benchmarks.masks.panoptic_loss IMAGES PANOPTIC_JSON --half even

"lost" is how much PQ of things (pooled) would rise without this cause alone: its false segments
gone, its missed instances found. The table of the even half is docs/segmentation.md's.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from benchmarks._shared.reports import guarded, markdown
from benchmarks.masks.photographs import CUT, Photograph
from trace_edges.formats.coco_truth import load_json, png_folder
from trace_edges.instances import Attachment, panoptic_from_semantic
from trace_edges.instances.bgp import partition
from trace_edges.instances.components import cut_pixels
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.panoptic import SegmentInfo

HOW = Attachment()
SHATTERED = "missed: no part is half of the thing"
CAUSES = (
    "false: a part larger than `size` of its thing",
    "false: a part further away than `distance`",
    "false: a part with too little of a thing of another class between (`behind`)",
    "false: a part that touches the rest of its thing",
    "false: a part attached to the wrong thing, or left by a shattered one",
    "missed: attached to another thing of its class",
    f"missed: smaller than {HOW.min_area} px, given to its neighbour",
    SHATTERED,
)


@dataclass
class Tally:
    """Sums over instances of things."""

    iou: float = 0.0
    found: int = 0
    false: int = 0
    missed: int = 0

    def pooled(self, *, false: int = 0, missed: int = 0, exact: bool = False) -> float:
        """PQ in percent, without so many false segments and missed instances."""
        found = self.found + missed
        iou = found if exact else self.iou + missed
        return 100 * iou / (found + (self.false - false + self.missed - missed) / 2)


def errors(photograph: Photograph, things: set[int], tally: Tally) -> Iterator[str]:
    """Causes of the errors of one photograph; what is found goes into the tally."""
    truth = photograph.truth()
    classes = np.array([0, *(segment.category for segment in truth.segments)])
    semantic, places = classes[truth.places], truth.places
    edges = boundaries_from_labels(places).astype(np.float32)
    found = panoptic_from_semantic(semantic, edges, things, void=0, propagation=CUT)
    areas = np.bincount(places.ravel(), minlength=len(classes))
    crowd = np.array([False, *(segment.crowd for segment in truth.segments)])
    hit = set()
    false: list[tuple[int, int]] = []  # segment, the thing it shows most of
    for segment in (one for one in found.segments if one.thing):
        inside = places[found.ids == segment.id]
        shared = np.bincount(inside, minlength=len(classes))
        iou = np.where(crowd, 0, shared / np.maximum(1, areas + len(inside) - shared))
        best = int(iou[1:].argmax()) + 1
        if iou[best] > 0.5:
            hit.add(best)
            tally.found, tally.iou = tally.found + 1, tally.iou + float(iou[best])
        elif shared[crowd].sum() <= len(inside) / 2:
            false.append((segment.id, int(np.where(crowd, 0, shared).argmax())))
    cut = cut_pixels(edges, CUT.threshold, CUT.hysteresis)
    for number, thing in false:
        tally.false += 1
        mask = semantic == classes[thing]
        occluders = np.isin(semantic, list(things)) & ~mask
        yield _why_false(
            partition(mask, edges, cut, CUT), found.ids == number, places == thing, occluders,
            thing in hit,
        )  # fmt: skip
    for thing, segment in enumerate(truth.segments, 1):
        if segment.category in things and areas[thing] and not crowd[thing] and thing not in hit:
            tally.missed += 1
            mine = np.bincount(found.ids[places == thing])
            if areas[thing] < HOW.min_area:
                yield CAUSES[6]
            else:
                yield CAUSES[5] if mine.max() > areas[thing] / 2 else SHATTERED


def _why_false(
    fragments: np.ndarray, drawn: np.ndarray, thing: np.ndarray, occluders: np.ndarray, hit: bool
) -> str:
    """Which condition of `Attachment` kept a part from the largest one of its thing."""
    inside = np.bincount(fragments[thing])
    inside[0] = 0
    host = fragments == inside.argmax()
    if not hit or (drawn & host).any():
        return CAUSES[4]
    if drawn.sum() > HOW.size * host.sum():
        return CAUSES[0]
    mine, other = np.argwhere(drawn), np.argwhere(host)
    distances, _ = cKDTree(other).query(mine)
    if distances.min() <= 1:
        return CAUSES[3]
    if distances.min() > HOW.distance * np.sqrt(host.sum()):
        return CAUSES[1]
    return CAUSES[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("panoptic", type=Path)
    parser.add_argument("--half", choices=("odd", "even"), default="even")
    arguments = parser.parse_args()
    content, folder = load_json(arguments.panoptic), png_folder(arguments.panoptic)
    things = {one["id"] for one in content["categories"] if one["isthing"]}
    listed = sorted(content["annotations"], key=lambda one: one["file_name"])
    tally, causes = Tally(), Counter()
    for entry in listed[1::2] if arguments.half == "even" else listed[0::2]:
        segments = tuple(
            SegmentInfo(s["id"], s["category_id"], bool(s["iscrowd"]))
            for s in entry["segments_info"]
        )
        name = Path(entry["file_name"]).stem
        image = arguments.images / f"{name}.jpg"
        photograph = Photograph(name, image, folder / entry["file_name"], segments, {}, image)
        causes.update(errors(photograph, things, tally))
    rows = []
    for cause in CAUSES:
        kind = cause.split(":")[0]
        lost = tally.pooled(**{kind: causes[cause]}) - tally.pooled()
        rows.append((cause, str(causes[cause]), f"{lost:.1f}"))
    exact = tally.pooled(exact=True) - tally.pooled()
    rows.append(("found, but not to the pixel", str(tally.found), f"{exact:.1f}"))
    print(f"{arguments.half}: PQ of things, pooled {tally.pooled():.1f}; {tally}")
    print(markdown(("cause", "count", "PQ lost"), rows))


if __name__ == "__main__":
    guarded(main)
