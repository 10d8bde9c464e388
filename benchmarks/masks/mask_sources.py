"""Masks to be refined: MaskCut and ProMerge on diffusion attention, regions of edges or colours."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from skimage.segmentation import felzenszwalb

from benchmarks.masks.photographs import Photograph, thin_levels
from trace_edges import TraceEdgePipeline, TraceSettings
from trace_edges.files import write_atomically
from trace_edges.images import load_image
from trace_edges.instances.grids import attention_affinity, centred_affinity, instances_from_grid
from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.maskcut import maskcut
from trace_edges.instances.promerge import promerge
from trace_edges.instances.regions import instances_of_count
from trace_edges.training_free.trajectory import Step

SOURCES = {
    "maskcut": "MaskCut",
    "promerge": "ProMerge",
    "regions": "edges alone",
    "felzenszwalb": "Felzenszwalb",
}
SETTINGS = {
    "attention": {"resolution": 256, "timestep": 99},
    "maskcut": {"masks": 3, "threshold": 0.6},
    "promerge": {"threshold": 0.05, "max_background_likeness": 0.4, "stride": 2},
    "regions": {"blur": 2.0, "count": 20},
    "felzenszwalb": {"scale": 800, "sigma": 0.8, "min_size": 400},
}


def masks_of(photograph: Photograph, out: Path) -> dict[str, np.ndarray]:
    """By source: boolean (n, H, W), or labels (H, W) from 1; made once, then read."""
    path = out / "sources" / f"{photograph.name}.npz"
    if not path.exists():
        made = _make(photograph)
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **made)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in SOURCES}


def _make(photograph: Photograph) -> dict[str, np.ndarray]:
    image = load_image(photograph.image)
    size = image.shape[:2]
    attention, grid = _attention(photograph.image)
    affinity = attention_affinity(attention)
    cut = maskcut(affinity, grid, **SETTINGS["maskcut"])
    merged = promerge(centred_affinity(affinity), grid, **SETTINGS["promerge"])
    edges = thin_levels(photograph, "trace", size).astype(np.float32) / 255
    tree = build_hierarchy(edges, blur=SETTINGS["regions"]["blur"])
    regions = instances_of_count(tree, min(SETTINGS["regions"]["count"], tree.leaves))
    segments = felzenszwalb(image, **SETTINGS["felzenszwalb"]) + 1
    return {
        "maskcut": instances_from_grid(cut, size).masks,
        "promerge": instances_from_grid(merged, size).masks,
        "regions": regions.label_map,
        "felzenszwalb": segments.astype(np.int32),
    }


def _attention(image: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """Self-attention (n, n) at t = 99, and its grid."""
    kept = {}

    def keep(step: Step) -> None:
        kept["attention"] = step.attention[0].cpu().numpy().copy()
        kept["grid"] = tuple(step.grid)

    _pipeline()(image, TraceSettings(**SETTINGS["attention"]), on_step=keep)
    return kept["attention"], kept["grid"]


@lru_cache(maxsize=1)
def _pipeline() -> TraceEdgePipeline:
    torch.set_num_threads(1)
    return TraceEdgePipeline.from_pretrained()
