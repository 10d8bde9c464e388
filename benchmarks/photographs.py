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
import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from trace_edges.datasets.coco import read_panoptic
from trace_edges.files import write_atomically
from trace_edges.images import load_image, model_size
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import EdgeCounts, EdgeProtocol, edge_counts, edge_scores
from trace_edges.metrics.peers import canny_edges
from trace_edges.surface import draw_edges

PROTOCOL = EdgeProtocol(thresholds=25, interpolate=False)
CANNY = "Canny"


def main() -> None:
    arguments = _arguments()
    images = sorted(arguments.images.glob("*.jpg"))[arguments.start :: arguments.every]
    with ProcessPoolExecutor(arguments.workers) as pool:
        measured = list(pool.map(partial(measure, options=arguments), images))
    names = sorted(p.stem for p in arguments.images.glob("*.jpg"))
    odd = set(names[::2])
    methods = list(measured[0]["counts"])
    chosen = {
        "t*": [int(np.argmax(m["curve"])) + 1 for m in measured],
        "t*, first change ignored": [int(np.argmax(m["curve"][1:])) + 2 for m in measured],
    }
    counts = {method: {m["name"]: m["counts"][method] for m in measured} for method in methods}
    for title, indices in chosen.items():
        if max(indices) < len(methods) - 1:
            counts[title] = {
                m["name"]: m["counts"][methods[1 + index]]
                for m, index in zip(measured, indices, strict=True)
            }
    rows = []
    for method, by_name in counts.items():
        halves = {
            "odd": {n: c for n, c in by_name.items() if n in odd},
            "even": {n: c for n, c in by_name.items() if n not in odd},
            "all": by_name,
        }
        row: dict[str, object] = {"method": method}
        for half, part in halves.items():
            if part:
                scores = edge_scores(part, PROTOCOL)
                row[f"ODS {half}"], row[f"OIS {half}"] = scores.ods, scores.ois
        rows.append(row)
    timesteps = [method.removeprefix("t = ") for method in methods[1:]]
    histograms = {
        title: dict(Counter(timesteps[index] for index in indices))
        for title, indices in chosen.items()
        if max(indices) < len(timesteps)
    }
    print(
        f"resolution {arguments.resolution}, refine {arguments.refine}, {len(images)} photographs"
    )
    print(markdown(rows))
    print("histograms:", histograms)
    if arguments.json:
        report = {
            "resolution": arguments.resolution,
            "refine": arguments.refine,
            "photographs": len(images),
            "rows": rows,
            "histograms": histograms,
        }
        with write_atomically(arguments.json) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n")


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
    backbone = _backbone()
    timesteps = list(backbone.schedule.timesteps())[: options.steps]
    path = options.cache / f"{options.resolution}r{options.refine}" / f"{image.stem}.npz"
    if not path.exists():
        size = model_size(*picture.shape[:2], options.resolution, backbone.cell)
        divergence, curve = walk_views(backbone, picture, size, timesteps, options.refine)
        with write_atomically(path) as temporary:
            np.savez(temporary, divergence=divergence, curve=curve)
    with np.load(path) as stored:
        divergence = stored["divergence"][: options.steps]
        return (
            divergence,
            stored["curve"],
            timesteps[: len(divergence)],
            backbone.defaults.half_edge,
        )


def walk_views(backbone, picture, size, timesteps, refine):
    """Every view walked through all the steps: (S, h, w) interleaved, and the first one's curve."""
    from trace_edges.views import interleave, shifted_views
    from trace_edges.walk import walk

    views = shifted_views([picture], size, backbone.cell, refine)
    walks = {shift: walk(backbone, view, timesteps) for shift, view in views}
    divergence = [
        interleave({shift: w.divergence[step, 0].numpy() for shift, w in walks.items()}, refine)
        for step in range(len(timesteps))
    ]
    return np.stack(divergence), walks[0, 0].curve[0].numpy()


_loaded: list = []


def _backbone():
    """The embedded backbone, loaded once in each worker, on one thread."""
    if not _loaded:
        import torch

        from trace_edges.backbones import load_backbone

        torch.set_num_threads(1)
        _loaded.append(load_backbone())
    return _loaded[0]


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
