"""Photographs with panoptic ground truth, their edges, and thresholds that compare fairly.

Edges come from folders of thin maps NAME.edges.png or NAME.png. All are treated alike: a threshold
is not a strength but a density, the share of all pixels of the odd photographs that are at least so
strong, so that detectors with strengths of different meaning meet at the same number of edge
pixels. A weaker edge counts where it continues a strong one, down to twice the density.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.edges import fit, following
from benchmarks.masks.average_precision import encoded
from trace_edges.evaluation.peers import draw_peer
from trace_edges.formats.coco_truth import load_json, png_folder, read_panoptic
from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map
from trace_edges.instances import Propagation
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import spread
from trace_edges.metrics.lines import suppress_non_maxima
from trace_edges.metrics.panoptic import Panoptic, SegmentInfo
from trace_edges.results import Category

DENSITIES = (0.0005, 0.001, 0.0025, 0.005, 0.01)
# Of edges as `edges_at` gives them; how many there are is chosen, not judged.
CUT = Propagation(threshold=1.0, hysteresis=0.5, dividing=0)
NOTHING, SHUFFLED, TRUTH = "nothing", "shuffled", "ground truth"
PEERS = ("canny", "sobel")


@dataclass(frozen=True)
class Photograph:
    """One image of the set, and the names of the folders' maps of it.

    `other` is the next photograph of its half, whose edges are the control.
    """

    name: str
    image: Path
    panoptic: Path
    segments: tuple[SegmentInfo, ...]
    edges: Mapping[str, Path]
    other: Path

    def truth(self) -> Panoptic:
        return Panoptic(read_panoptic(self.panoptic), self.segments)


@dataclass(frozen=True)
class Collection:
    photographs: list[Photograph]
    categories: tuple[Category, ...]
    methods: tuple[str, ...]  # of edges that have a threshold
    strengths: dict[str, list[float]]  # of a method: the share of odd pixels at level k / 255 or up

    @property
    def odd(self) -> list[Photograph]:
        return self.photographs[0::2]

    @property
    def to_choose_on(self) -> list[Photograph]:
        """Every other odd one: there are many densities to try."""
        return self.odd[0::2]

    @property
    def even(self) -> list[Photograph]:
        return self.photographs[1::2]


def collect(
    images: Path, panoptic: Path, folders: Sequence[str], out: Path, limit: int | None = None
) -> Collection:
    """The first photographs, with edges of every folder NAME=DIR and of the peers."""
    paths = [path for path in sorted(images.iterdir()) if path.suffix == ".jpg"][:limit]
    found = {path.stem: path for path in paths}
    maps = {name: find_edge_maps(Path(folder)) for name, folder in (f.split("=") for f in folders)}
    if "trace" not in maps:
        raise SystemExit("--edges trace=DIR is needed: the maps that the others stand beside")
    problems: dict[str, str] = {}
    for peer in PEERS:
        problems |= draw_peer(peer, found, out / "peers" / peer)
        maps[peer] = find_edge_maps(out / "peers" / peer)
    for method, of_method in maps.items():
        missing = sorted(found.keys() - of_method.keys())
        if missing or problems:
            raise SystemExit(f"{method}: no edges of {len(missing)} images {problems}: make them")
    content, folder = load_json(panoptic), png_folder(panoptic)
    listed = {Path(a["file_name"]).stem: a for a in content["annotations"]}
    names = sorted(found.keys() & listed.keys())
    others = following(names[0::2]) | following(names[1::2])
    photographs = []
    for name in names:
        segments = tuple(
            SegmentInfo(s["id"], s["category_id"], bool(s["iscrowd"]))
            for s in listed[name]["segments_info"]
        )
        edges = {method: of_method[name] for method, of_method in maps.items()}
        png = folder / listed[name]["file_name"]
        photographs.append(
            Photograph(name, found[name], png, segments, edges, maps["trace"][others[name]])
        )
    categories = tuple(
        Category(c["id"], c["name"], bool(c["isthing"])) for c in content["categories"]
    )
    ordered = ("canny", "sobel", *(name for name in maps if name not in (*PEERS, "trace")), "trace")
    strengths = {method: _shares(photographs[0::2], method) for method in ordered}
    return Collection(
        photographs, categories, (SHUFFLED, *ordered), {SHUFFLED: strengths["trace"], **strengths}
    )


def thin_levels(photograph: Photograph, method: str, size: tuple[int, int]) -> np.ndarray:
    """(h, w) uint8 levels on lines of about a pixel."""
    if method == SHUFFLED:
        return _fitted(_levels(photograph.other), size)
    levels = _levels(photograph.edges[method])
    if method == "sobel":  # the only one that is not thin
        levels = suppress_non_maxima(levels.astype(np.float32) / 255) * 255
    return np.rint(levels).astype(np.uint8)


def edges_at(
    photograph: Photograph,
    truth: Panoptic,
    method: str,
    density: float | None,
    strengths: Mapping[str, list[float]],
) -> np.ndarray:
    """(h, w) 1 where an edge separates, 0.5 to 1 where it does if it continues such a one.

    Without a density the drawn boundaries of the ground truth, or none at all.
    """
    if method == NOTHING:
        return np.zeros(truth.ids.shape, dtype=np.float32)
    if density is None:
        return boundaries_from_labels(truth.places).astype(np.float32)
    shares = np.array(strengths[method])
    # The lowest level, of 1 or more, that no more than this share of the pixels reaches.
    high, low = (1 + int(np.argmax(shares[1:] <= share)) for share in (density, 2 * density))
    levels = thin_levels(photograph, method, truth.ids.shape)
    between = 0.5 + 0.5 * (levels.astype(np.float32) - low) / max(1, high - low)
    return np.where(levels >= high, 1, np.where(levels >= low, between, 0)).astype(np.float32)


def _levels(path: Path) -> np.ndarray:
    values = read_edge_map(path)
    scale = {np.dtype(np.uint8): 1, np.dtype(np.uint16): 255 / 65535}.get(values.dtype, 255)
    return values * np.float32(scale)


def _fitted(levels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Another image's edges on this one: turned if it lies the other way, repeated, cropped.

    Not resized, so that lines stay lines.
    """
    if (levels.shape[0] > levels.shape[1]) != (size[0] > size[1]):
        levels = levels.T
    return np.rint(fit(levels, size)).astype(np.uint8)


def _shares(photographs: Sequence[Photograph], method: str) -> list[float]:
    counts = np.zeros(257)  # nothing reaches level 256
    for photograph in photographs:
        levels = thin_levels(photograph, method, (0, 0))
        counts[:256] += np.bincount(levels.ravel(), minlength=256)
    return (np.cumsum(counts[::-1])[::-1] / counts.sum()).tolist()


def key_of(cell: Sequence[object]) -> str:
    """The key of a cell of the table in a record."""
    return "/".join(map(str, cell))


def measured(
    measure: Callable[[Any], dict[str, Any]], tasks: Sequence[Any], workers: int
) -> list[dict[str, Any]]:
    """The record of every task, each said when it is there; tasks have a photograph."""
    done = []
    for task, record in zip(tasks, spread(measure, tasks, workers), strict=True):
        done.append(record)
        print(f"{task.photograph.name}: {len(done)} of {len(tasks)}", flush=True)
    return done


def begin(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Collection]:
    """The options, and the photographs with their edges."""
    given = parser.parse_args()
    return given, collect(given.images, given.panoptic, given.edges, given.out, given.limit)


def true_masks(truth: Panoptic, things: frozenset[int]) -> tuple[list[dict], list[bool]]:
    """RLE of every thing, and which are crowds."""
    listed = [s for s in truth.segments if s.category in things and (truth.ids == s.id).any()]
    return encoded([truth.ids == s.id for s in listed]), [s.crowd for s in listed]


def command_line(doc: str) -> argparse.ArgumentParser:
    """What the benchmarks on these photographs are all asked."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("panoptic", type=Path)
    parser.add_argument("--edges", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=int, help="number of photographs to use, by name")
    return parser
