"""At which strength of edges their regions cover the true segments best: the default of `segment`.

    trace-edges detect IMAGES --soft --out one_step
    python -m benchmarks.masks.regions IMAGES PANOPTIC_JSON \
        --edges one-step=one_step --out regions.json

Covering (Arbelaez et al., PAMI 2011, section 2.3): every true segment, things and stuff, is given
the IoU of the region that overlaps it best, and counts by its area. "things" is the mean of that
IoU over the things alone, whatever their area. Pixels of no segment do not count. The strength is
chosen on the odd photographs by covering and reported on the even ones; "shuffled" takes the edges
of the next photograph of the same half, and its own best strength.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks._shared.edges import fit, following, read_edges
from benchmarks._shared.reports import guarded, markdown, write_json
from trace_edges.formats.coco_truth import load_json, png_folder, read_panoptic
from trace_edges.instances.hierarchy import AREA_POWER, Hierarchy, build_hierarchy

STRENGTHS = np.round(np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.51, 0.025)]), 3)
COVERING, THINGS, REGIONS = range(3)  # columns of the scores


def main() -> None:
    """Measure, choose on the odd half, print a table of the even one, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("panoptic", type=Path)
    parser.add_argument("--edges", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--blur", type=float, default=0.0, help="px; 2 for thin lines")
    parser.add_argument("--area-power", type=float, default=AREA_POWER)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    content, drawn = load_json(options.panoptic), png_folder(options.panoptic)
    things = {c["id"] for c in content["categories"] if c["isthing"]}
    listed = {Path(one["file_name"]).stem: one for one in content["annotations"]}
    names = sorted({path.stem for path in options.images.iterdir()} & listed.keys())
    halves = {"odd": names[::2], "even": names[1::2]}
    others = following(halves["odd"]) | following(halves["even"])
    measured: dict[str, dict[str, np.ndarray]] = {}
    for method, maps in read_edges(options.edges, names).items():
        shuffled = f"{method}, shuffled"
        measured |= {method: {}, shuffled: {}}
        for name in names:
            ids = read_panoptic(drawn / listed[name]["file_name"])
            segments = [s for s in listed[name]["segments_info"] if not s["iscrowd"]]
            is_thing = np.array([s["category_id"] in things for s in segments])
            numbers = [s["id"] for s in segments]
            for row, of in ((method, name), (shuffled, others[name])):
                edges = fit(maps[of], ids.shape)
                tree = build_hierarchy(edges, area_power=options.area_power, blur=options.blur)
                measured[row][name] = _score(tree, ids, numbers, is_thing)
    record = {"strengths": STRENGTHS.tolist(), "blur": options.blur, "methods": {}}
    record["area_power"] = options.area_power
    header = ("edges", "strength", "covering, odd / even", "things, odd / even", "regions")
    rows = []
    for method, by_name in measured.items():
        odd, even = (  # (strengths, columns) each; a photograph without things has no mean of them
            np.nanmean([by_name[name] for name in half], axis=0) for half in halves.values()
        )
        record["methods"][method] = {"odd": odd.tolist(), "even": even.tolist()}
        best = int(odd[:, COVERING].argmax())
        for place in sorted({best, int(np.searchsorted(STRENGTHS, 0.25))}):
            pairs = [f"{odd[place, k]:.3f} / {even[place, k]:.3f}" for k in (COVERING, THINGS)]
            mark = " (best on odd)" if place == best else ""
            rows.append(
                (method, f"{STRENGTHS[place]:g}{mark}", *pairs, f"{even[place, REGIONS]:.1f}")
            )
    print(markdown(header, rows))
    write_json(record, options.out, indent=1)


def _score(
    tree: Hierarchy, ids: np.ndarray, numbers: list[int], is_thing: np.ndarray
) -> np.ndarray:
    """(strengths, columns) of one photograph."""
    segments = np.zeros(ids.shape, dtype=np.int64)  # 0: of none
    for place, number in enumerate(numbers, 1):
        segments[ids == number] = place
    kinds = len(numbers) + 1
    codes = tree.labels.ravel() * kinds + segments.ravel()
    shared = np.zeros((len(tree.parents), kinds))
    shared[: tree.leaves] = np.bincount(codes, minlength=tree.leaves * kinds).reshape(-1, kinds)
    for node, above in enumerate(tree.parents[:-1]):  # a parent comes after its children
        shared[above] += shared[node]
    shared = shared[:, 1:]
    sizes = shared[-1]  # of the segments: the last node is the whole image
    union = shared.sum(axis=1, keepdims=True) + sizes - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    rows = []
    for strength in STRENGTHS:
        nodes = np.unique(tree.nodes_at(strength))
        best = overlap[nodes].max(axis=0)
        covering = (best * sizes).sum() / sizes.sum()
        rows.append((covering, best[is_thing].mean() if is_thing.any() else np.nan, len(nodes)))
    return np.array(rows)


if __name__ == "__main__":
    guarded(main)
