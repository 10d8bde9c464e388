"""How ABDiv becomes strength: one constant e0, or e0 taken from every map itself.

    python -m benchmarks.edges.half_edge IMAGES PANOPTIC_JSON --maps DIR --json half_edge.json

An edge is E / (E + e0). A constant has to be measured for a backbone, on photographs whose borders
are known; what a map has itself needs none. Each rule is scaled on the odd half at 256 px so that
the median of its e0 is trace-mini's constant. Then trace-mini is read as it is, at another
resolution, and with the logits of its attention multiplied, which stands for other backbones, whose
attention is sharper or flatter. Of each reading: the median strength of a cell, ODS, and F at the
threshold that the odd half gave for the same rule at 256 px: what somebody has who keeps it.

ABDiv is read at t = 99 and kept in DIR; a map takes two seconds of CPU at 256 px, eight at 512.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks._shared.reports import guarded, markdown, publish
from trace_edges.attention import MapAverage
from trace_edges.evaluation.edges import edge_truth
from trace_edges.files import find_images
from trace_edges.formats import open_ground_truth
from trace_edges.images import load_image
from trace_edges.metrics import EdgeProtocol
from trace_edges.metrics.counts import EdgeCounts, edge_counts
from trace_edges.metrics.edges import edge_scores
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import draw_edges

READINGS = {
    "256 px": (256, 1.0),
    "256 px, logits x 2": (256, 2.0),
    "256 px, logits / 2": (256, 0.5),
    "512 px": (512, 1.0),
}  # resolution, and what the logits of the attention are multiplied by
CONSTANT = 1.0  # nats, trace-mini's
RULES: dict[str, Callable[[np.ndarray], float]] = {
    "constant": lambda raw: CONSTANT,
    "mean": lambda raw: float(raw.mean()),
    "median": lambda raw: float(np.median(raw)),
    "quantile .75": lambda raw: float(np.quantile(raw, 0.75)),
    "quantile .9": lambda raw: float(np.quantile(raw, 0.9)),
}
PROTOCOL = EdgeProtocol(thresholds=49)
COLUMNS = ("strength", "ODS", "its threshold", "kept", "F there")

Maps = Mapping[str, np.ndarray]


def main() -> None:
    """Read, score, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--readings", nargs="+", default=list(READINGS), choices=list(READINGS))
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--at-most", type=int, help="number of images to use")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    images = {path.stem: path for path in find_images([options.images]).images}
    source = open_ground_truth(options.truth)
    names = sorted(name for name in images if name in source)[: options.at_most]
    halves = {"odd": names[::2], "even": names[1::2]}
    truth = {name: edge_truth(source[name](), PROTOCOL) for name in names}
    sizes = {name: load_image(images[name]).shape[:2] for name in names}
    base = next(iter(READINGS))
    maps = {
        reading: read_maps(reading, {name: images[name] for name in names}, options.maps)
        for reading in dict.fromkeys([base, *options.readings])
    }
    rows = []
    for rule in options.rules:
        half_edge = scaled(RULES[rule], [maps[base][name] for name in halves["odd"]])
        kept = 0.0
        for reading, raw in maps.items():
            counts = {
                name: edge_counts(drawn(raw[name], sizes[name], half_edge), truth[name], PROTOCOL)
                for name in names
            }
            if reading == base:
                kept = edge_scores({n: counts[n] for n in halves["odd"]}, PROTOCOL).ods_threshold
            for half, chosen in halves.items():
                found = score({n: counts[n] for n in chosen}, kept)
                medians = [float(np.median(raw[n] / (raw[n] + half_edge(raw[n])))) for n in chosen]
                row = {"rule": rule, "reading": reading, "half": half}
                rows.append(row | {"strength": float(np.median(medians))} | found)
                print(*row.values(), *(f"{rows[-1][name]:.3f}" for name in COLUMNS), flush=True)
    cells = [[*list(row.values())[:3], *(f"{row[name]:.3f}" for name in COLUMNS)] for row in rows]
    text = markdown(("rule", "reading", "half", *COLUMNS), cells)
    publish({"images": len(names), "rows": rows}, text, options.json, options.markdown)


def scaled(
    rule: Callable[[np.ndarray], float], maps: Sequence[np.ndarray]
) -> Callable[[np.ndarray], float]:
    """The rule times what makes it the constant for the median of these maps."""
    factor = CONSTANT / float(np.median([rule(raw) for raw in maps]))
    return lambda raw: factor * rule(raw)


def drawn(
    raw: np.ndarray, size: tuple[int, int], half_edge: Callable[[np.ndarray], float]
) -> np.ndarray:
    """Strengths on the ridges, else 0."""
    edges, ridges = draw_edges(raw, size, 1, half_edge(raw))
    return np.where(ridges, edges, 0).astype(np.float32)


def score(counts: Mapping[str, EdgeCounts], kept: float) -> dict[str, float]:
    """ODS with its threshold, and F at the threshold that is kept."""
    scores = edge_scores(counts, PROTOCOL)
    every = list(counts.values())
    whole = sum(every[1:], every[0])
    there = float(whole.f[np.abs(PROTOCOL.levels - kept).argmin()])
    return {"ODS": scores.ods, "its threshold": scores.ods_threshold, "kept": kept,
            "F there": there}  # fmt: skip


def read_maps(reading: str, images: Mapping[str, Path], folder: Path) -> Maps:
    """ABDiv of every image on the attention grid, from the folder where it is there."""
    resolution, sharpness = READINGS[reading]
    folder = folder / f"{resolution}-{sharpness:g}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pipe = TraceEdgePipeline.from_pretrained()
    settings = pipe.chosen(None, {"resolution": resolution, "timestep": 99})
    found = {}
    with multiplied(sharpness):
        for name, path in images.items():
            file = folder / f"{name}.npy"
            if not file.exists():
                np.save(file, pipe.values(path, settings))
            found[name] = np.load(file)
    return found


@contextmanager
def multiplied(factor: float) -> Iterator[None]:
    """Within, the logits of self-attention are multiplied where maps are recorded."""

    class Sharper(MapAverage):
        def add(self, grid: Any, q: Any, k: Any, scale: float) -> None:
            super().add(grid, q, k, scale * factor)

    with patch("trace_edges.backbones.diffusion.MapAverage", Sharper):
        yield


if __name__ == "__main__":
    guarded(main)
