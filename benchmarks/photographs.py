"""Edge quality on photographs with panoptic ground truth, at every step of the trajectory.

    python benchmarks/photographs.py IMAGES PANOPTIC --resolution 256 --json out/256.json

IMAGES holds NAME.jpg, PANOPTIC the COCO panoptic NAME.png of each. One walk per photograph gives
the edges of every fixed step, of t* (the argmax of the KL curve) and of the argmax without its
first change; Canny is scored in the same run. Settings are to be chosen on the photographs at odd
places (sorted by name: 1st, 3rd, ...) and reported on the even ones; the table gives both and all.

Protocol: 25 thresholds i / 26, one-to-one matching within 0.0075 of the diagonal, no
interpolation. Ground truth: pixels whose right or lower neighbour has another segment id, void
being an id of its own, thinned. Prediction: what `trace-edges detect` writes as NAME.edges.png
(thin lines, 8 bits), thinned again at every threshold.

Walks are kept in --cache, so that a run can be stopped and continued.
"""

import argparse
import functools
import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trace_edges.backbones import DiffusionBackbone, load_backbone
from trace_edges.datasets.coco import read_panoptic
from trace_edges.emergence import emergence_index
from trace_edges.files import write_atomically
from trace_edges.images import load_image, model_size
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import EdgeCounts, EdgeProtocol, edge_counts, edge_scores
from trace_edges.metrics.peers import canny_edges
from trace_edges.surface import draw_edges
from trace_edges.views import interleave, shifted_views
from trace_edges.walk import walk

PROTOCOL = EdgeProtocol(thresholds=25, interpolate=False)
CANNY = "Canny"


def main() -> None:
    options = _arguments()
    every_image = sorted(options.images.glob("*.jpg"))
    odd = {image.stem for image in every_image[::2]}
    images = every_image[options.start :: options.every]
    with ProcessPoolExecutor(options.workers) as pool:
        measured = list(pool.map(functools.partial(measure, options=options), images))
    counts = {
        method: {one["name"]: one["counts"][method] for one in measured}
        for method in measured[0]["counts"]
    }
    steps = [method for method in counts if method != CANNY]
    histograms = {}
    for title, indices in emergence_points(np.stack([one["curve"] for one in measured])).items():
        chosen = [steps[index] for index in indices]
        counts[title] = {
            one["name"]: one["counts"][step] for one, step in zip(measured, chosen, strict=True)
        }
        histograms[title] = dict(Counter(chosen))
    rows = [score_halves(method, by_name, odd) for method, by_name in counts.items()]
    print(f"resolution {options.resolution}, refine {options.refine}, {len(images)} photographs\n")
    print(markdown(rows))
    for title, histogram in histograms.items():
        print(f"\n{title}: {histogram}")
    if options.json:
        report = {"resolution": options.resolution, "refine": options.refine}
        report |= {"photographs": len(images), "rows": rows, "histograms": histograms}
        with write_atomically(options.json) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")


def emergence_points(curves: np.ndarray) -> dict[str, np.ndarray]:
    """Index of the chosen step for each photograph: t*, and t* without the first change."""
    points = {"t*": emergence_index(curves)}
    if curves.shape[1] > 1:
        points["t*, first change ignored"] = emergence_index(curves, first=1)
    return points


def score_halves(method: str, counts: dict[str, EdgeCounts], odd: set[str]) -> dict[str, Any]:
    """ODS and OIS on the photographs at odd places, at even places, and on all."""
    halves = {
        "odd": {name: count for name, count in counts.items() if name in odd},
        "even": {name: count for name, count in counts.items() if name not in odd},
        "all": counts,
    }
    row: dict[str, Any] = {"method": method}
    for half, part in halves.items():
        if part:
            scores = edge_scores(part, PROTOCOL)
            row |= {f"ODS {half}": scores.ods, f"OIS {half}": scores.ois}
    return row


def measure(image: Path, options: argparse.Namespace) -> dict:
    """Counts of Canny and of every step on one photograph, and its KL curve."""
    picture = load_image(image)
    truth = boundaries_from_labels(read_panoptic(options.panoptic / f"{image.stem}.png"))
    divergence, curve, timesteps, half_edge = cached_walk(image, picture, options)
    size = picture.shape[0], picture.shape[1]
    predictions = {CANNY: canny_edges(picture)}
    for timestep, raw in zip(timesteps, divergence, strict=True):
        edges, crests = draw_edges(raw, size, options.refine, half_edge)
        thin = np.where(crests, edges, 0)
        predictions[f"t = {timestep}"] = np.rint(thin * 255).astype(np.uint8)
    counts: dict[str, EdgeCounts] = {
        method: edge_counts(edges, [truth], PROTOCOL) for method, edges in predictions.items()
    }
    return {"name": image.stem, "counts": counts, "curve": curve}


def cached_walk(
    image: Path, picture: np.ndarray, options: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, list[int], float]:
    """Interleaved ABDiv (S, h, w) of the first S steps, the KL curve, the steps, and e0."""
    backbone = embedded_backbone()
    timesteps = list(backbone.schedule.timesteps())[: options.steps]
    path = options.cache / f"{options.resolution}r{options.refine}" / f"{image.stem}.npz"
    if not path.exists():
        size = model_size(*picture.shape[:2], options.resolution, backbone.cell)
        divergence, curve = walk_views(backbone, picture, size, timesteps, options.refine)
        with write_atomically(path) as temporary:
            np.savez(temporary, divergence=divergence, curve=curve)
    with np.load(path) as stored:
        divergence, curve = stored["divergence"], stored["curve"]
    steps = slice(0, options.steps)
    half_edge = backbone.defaults.half_edge
    return divergence[steps], curve[: options.steps - 1], timesteps, half_edge


def walk_views(
    backbone: DiffusionBackbone,
    picture: np.ndarray,
    size: tuple[int, int],
    timesteps: list[int],
    refine: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Every view walked through all the steps: (S, h, w) interleaved, and the first one's curve."""
    views = shifted_views([picture], size, backbone.cell, refine)
    walks = {shift: walk(backbone, view, timesteps) for shift, view in views}
    divergence = [
        interleave({shift: w.divergence[step, 0].numpy() for shift, w in walks.items()}, refine)
        for step in range(len(timesteps))
    ]
    return np.stack(divergence), walks[0, 0].curve[0].numpy()


@functools.cache
def embedded_backbone() -> DiffusionBackbone:
    """trace-mini, loaded once in each worker, on one thread."""
    torch.set_num_threads(1)
    return load_backbone()


def markdown(rows: list[dict]) -> str:
    """Rows of one set of keys as a Markdown table, numbers with three decimals."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("panoptic", type=Path)
    parser.add_argument("--resolution", type=int, default=384)
    parser.add_argument("--refine", type=int, default=1)
    parser.add_argument("--steps", type=int, default=11, help="walk the first so many steps only")
    parser.add_argument("--start", type=int, default=0, help="skip so many photographs")
    parser.add_argument("--every", type=int, default=1, help="then take every so manieth")
    parser.add_argument("--cache", type=Path, default=Path("out/walks"))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
