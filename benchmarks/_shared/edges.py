"""Edges to compare: maps from folders, classical peers, and another image's edges as a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trace_edges.evaluation.peers import PEERS
from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map
from trace_edges.images import load_image
from trace_edges.metrics.counts import unit_strength

Maps = dict[str, np.ndarray]  # (h, w) strengths in [0, 1] by the name of the image


def read_edges(given: Sequence[str], names: Sequence[str]) -> dict[str, Maps]:
    """The maps of these images in every folder NAME=DIR, by NAME."""
    methods = {}
    for method, folder in (one.split("=", 1) for one in given):
        paths = find_edge_maps(Path(folder))
        methods[method] = {name: unit_strength(read_edge_map(paths[name])) for name in names}
    return methods


def draw_peers(peers: Sequence[str], images: Mapping[str, Path]) -> dict[str, Maps]:
    """The maps that classical detectors draw of these images, by peer."""
    return {
        peer: {name: PEERS[peer](load_image(path)) for name, path in images.items()}
        for peer in peers
    }


def following(names: Sequence[str]) -> dict[str, str]:
    """For every name the next one, whose edges are the control; the first follows the last."""
    return dict(zip(names, [*names[1:], *names[:1]], strict=True))


def fit(edges: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Cut or repeated from the upper left to this shape; lines stay as thin as they are."""
    rows, columns = (np.arange(side) % have for side, have in zip(shape, edges.shape, strict=True))
    return edges[np.ix_(rows, columns)]
