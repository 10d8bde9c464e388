"""Photographs with panoptic ground truth, and their edges, from folders of thin maps NAME.edges.png
or NAME.png.
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
from trace_edges.metrics.edges import spread
from trace_edges.metrics.panoptic import Panoptic, SegmentInfo
from trace_edges.results import Category

NOTHING, SHUFFLED, TRUTH = "nothing", "shuffled", "ground truth"
PEERS = ("canny",)


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
    methods: tuple[str, ...]

    @property
    def odd(self) -> list[Photograph]:
        return self.photographs[0::2]

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
    ordered = (*PEERS, *(name for name in maps if name not in (*PEERS, "trace")), "trace")
    return Collection(photographs, categories, (SHUFFLED, *ordered))


def thin_levels(photograph: Photograph, method: str, size: tuple[int, int]) -> np.ndarray:
    """(h, w) uint8 levels on lines of about a pixel."""
    if method == SHUFFLED:
        return _fitted(_levels(photograph.other), size)
    return np.rint(_levels(photograph.edges[method])).astype(np.uint8)


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
