"""Panoptic maps of a folder of semantic maps."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from trace_edges.edge_folder import EdgeFolder
from trace_edges.formats.classes import ClassTable
from trace_edges.formats.panoptic import export_panoptic
from trace_edges.formats.semantic import find_semantic_maps
from trace_edges.instances.bgp import PROPAGATION, Propagation
from trace_edges.instances.components import origin_of
from trace_edges.instances.fragments import ATTACHMENT, Attachment
from trace_edges.jobs.collected import Collected, Progress, refine_images, write_settings
from trace_edges.jobs.entries import UNLISTED, can_be_listed, shown
from trace_edges.jobs.task import Outcome, Result
from trace_edges.jobs.tasks import PanopticTask
from trace_edges.outputs import Outputs
from trace_edges.results import PanopticMap, Segment


def panoptic_files(
    semantic: Path,
    edges: Path,
    out: Path,
    classes: ClassTable,
    propagation: Propagation = PROPAGATION,
    attachment: Attachment = ATTACHMENT,
    *,
    semantic_pngs: bool = False,
    progress: Progress | None = None,
    outputs: Outputs | None = None,
) -> list[Outcome]:
    """Split the things of every semantic map into instances (`panoptic_from_semantic`).

    Writes OUT/panoptic.json, OUT/panoptic/NAME.png, OUT/settings.json, and on demand
    OUT/semantic/NAME.png, as `export_panoptic` says. Images that fail are left out.

    Args:
        semantic: folder of NAME.png and NAME.npy; see `read_semantic`.
        edges: folder of edge maps (`EdgeFolder`).
        classes: what the numbers in the maps stand for.
        propagation, attachment: see `panoptic_from_semantic`.
        progress: called after each image with how many are done, and how many there are.
        outputs: guard of what is written, which knows it afterwards.

    Returns:
        One outcome per image.

    Raises:
        OSError: a result cannot be written.
        ValueError: there are no maps or no edges, two maps are of one image, or `out` is an input
            or holds a file that is no result of panoptic.
    """
    names = find_semantic_maps(semantic)
    folders = ["panoptic", "semantic"] if semantic_pngs else ["panoptic"]
    written = [out / folder / f"{name}.png" for name in names for folder in folders]
    outputs = outputs or Outputs("panoptic", (semantic, edges))
    outputs.check(out / "panoptic.json", out / "settings.json", *written)
    folder, maps = EdgeFolder(edges), _Packed()
    propagation = propagation.usual_for(origin_of(folder.made_with))

    def take(name: str, result: Result) -> tuple[int, int]:
        found, class_count = result.value
        maps.add(name, found)
        return class_count, len(found.segments)

    task = PanopticTask(semantic, classes, propagation, attachment)
    outcomes = [
        Outcome(name, "failed", f"{semantic}: {shown(name)} {': '.join(UNLISTED)}")
        for name in names
        if not can_be_listed(name)
    ]
    sound = [name for name in names if can_be_listed(name)]
    outcomes += refine_images(sound, folder, task, Collected(take), progress)
    if maps:
        settings = {"propagation": asdict(propagation), "attachment": asdict(attachment)}
        files = {"semantic": semantic, "edges": edges}
        with outputs.writing():
            export_panoptic(
                maps,
                out / "panoptic.json",
                classes.categories,
                semantic_folder=out / "semantic" if semantic_pngs else None,
            )
            write_settings(out / "settings.json", files, settings, outcomes)
    return outcomes


class _Packed(Mapping[str, PanopticMap]):
    """Panoptic maps in little memory, so that only those that can be made are listed."""

    def __init__(self) -> None:
        self._packed: dict[str, tuple[bytes, tuple[int, ...], tuple[Segment, ...]]] = {}

    def add(self, name: str, found: PanopticMap) -> None:
        packed = zlib.compress(found.ids.tobytes(), level=1)
        self._packed[name] = packed, found.ids.shape, found.segments

    def __getitem__(self, name: str) -> PanopticMap:
        packed, shape, segments = self._packed[name]
        ids = np.frombuffer(zlib.decompress(packed), dtype=np.int32).reshape(shape)  # (h, w)
        return PanopticMap(ids, segments)

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
