"""Image files into a folder of results: what is done is skipped, what fails is reported, the rest
is done. Every image has a record beside its results, so that a small job needs no manifest.

`detect` comes with the edges alone: it is asked for most, and what instances need takes long to
import, or is not installed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image

from trace_edges.drawing.overlays import overlay
from trace_edges.edge_folder import EdgeFolder, record_beside
from trace_edges.files import FileError
from trace_edges.formats.edge_maps import EdgeFormat, stored_edges
from trace_edges.jobs.engine import Engine, stretches_of
from trace_edges.jobs.entries import Item
from trace_edges.jobs.places import PathPlace
from trace_edges.jobs.records import Records, read_record, refuse_other_image
from trace_edges.jobs.task import Facts, Outcome, Result, Subject, Task
from trace_edges.outputs import Outputs
from trace_edges.results import Calibration, EdgeMap, Emergence
from trace_edges.sources import EdgeSource

EdgeKind = Literal["thin", "soft", "weighted", "contours"]


@dataclass(frozen=True)
class EdgesTask(Task):
    """The edges themselves.

    Attributes:
        format: of edges.png or edges.npy: 8-bit PNG, 16-bit PNG (png16), or float32 in [0, 1]
            (npy).
        kind: "thin" lines (0 off the ridges), the "soft" map that they are the ridges of, the same
            lines "weighted" by contours that close regions (`weigh_lines`), or these "contours".
        overlay: draw overlay.png too, the lines over the image.
        calibration: gives the strengths that are written.
    """

    format: EdgeFormat = "png"
    kind: EdgeKind = "thin"
    overlay: bool = False
    calibration: Calibration | None = None
    name = "edges"

    @property
    def wants_image(self) -> bool:
        return self.overlay

    @property
    def suffixes(self) -> tuple[str, ...]:
        edges = "edges.npy" if self.format == "npy" else "edges.png"
        return (edges, "overlay.png") if self.overlay else (edges,)

    def describe(self) -> dict[str, Any]:
        return {"task": self.name, "format": self.format, "kind": self.kind} | self.strengths

    @property
    def strengths(self) -> dict[str, Any]:
        """What settings of the edges say of the task: all that changes what a strength means."""
        said = {} if self.kind in ("thin", "soft") else {"lines": self.kind}
        return said | ({} if self.calibration is None else {"calibration": self.calibration.digest})

    def check_edges(self, made_with: Mapping[str, Any]) -> None:
        """Refuse edges that the calibration was not measured on."""
        if self.calibration is not None:
            lines = "thin" if self.kind == "soft" else self.kind
            self.calibration.check({**made_with, "lines": lines})

    def __call__(self, subject: Subject) -> Result:
        drawn = self._drawn(subject)
        if self.calibration is not None:
            drawn = self.calibration(drawn)
        files = {self.suffixes[0]: encoded(stored_edges(drawn, self.format))}
        if subject.image is not None and self.overlay:
            lines = np.where(subject.ridges, drawn, np.float32(0)) if self.kind == "soft" else drawn
            files["overlay.png"] = encoded(overlay(subject.image, lines))
        return Result(files)

    def _drawn(self, subject: Subject) -> Float32[np.ndarray, "h w"]:
        """The edges as the source gives their strengths."""
        if self.kind == "thin":
            return subject.thin
        if self.kind == "soft":
            return subject.smooth
        from trace_edges.instances.hierarchy import build_hierarchy, contours
        from trace_edges.instances.lines import weigh_lines

        if self.kind == "contours":
            return contours(build_hierarchy(subject.smooth))
        return weigh_lines(EdgeMap(subject.smooth[None], subject.ridges[None]))


def detect_files(
    source: EdgeSource[Any],
    names: Mapping[Path, str],
    folder: Path,
    settings: Any = None,
    *,
    task: EdgesTask | None = None,
    overwrite: bool = False,
    batch_size: int = 1,
) -> Iterator[Outcome]:
    """Detects edges in image files; one Outcome per file, as it is finished.

    Writes NAME.edges.png (or .npy), NAME.overlay.png and NAME.json for every image.

    Args:
        source: the pipeline or a detector.
        names: image path -> name of its results (see `trace_edges.inputs.Found`).
        folder: where to.
        settings: how images are read; None: the source's default.
        task: format, kind and calibration of the edges.
        overwrite: make again what the command wrote there; what others wrote stays.
        batch_size: images that are read at one size share a pass.

    Raises:
        OSError: the results cannot be written (a full disk); nothing half-written stays.
        ValueError: the settings fit no image, or the calibration was measured with others.
    """
    chosen = source.default if settings is None else settings
    source.check(chosen)
    task = task or EdgesTask(overlay=True)

    def extra(item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        names = (f"{item.key}.{suffix}" for suffix in task.suffixes)
        files = dict(zip(("edges", "overlay"), names, strict=False))
        emergence = None if facts.emergence is None else curve_of(facts.emergence)
        read = {"timestep": facts.timestep, "emergence": emergence}
        return {**files, **read, "settings": described | dict(facts.made_with)}

    described = source.describe(chosen) | {"weights": source.fingerprint()}
    task.check_edges(described)
    described |= task.strengths
    kind = {"command": "detect", "kind": task.kind, "format": task.format}
    outputs = Outputs("detect", tuple(names), overwrite)
    outputs.check_folder(folder)
    records = Records(folder, task.suffixes, kind, described, extra, outputs, indent=1)
    engine = Engine(source, chosen, task, records, batch_size)
    yield from run(engine, names, records)


def _refuse_edges_of_others(edges: Path, image: Path) -> None:
    """FileError where stored edges have a record by `detect`, and that is of another image."""
    path = record_beside(edges)
    refuse_other_image(path, read_record(path) or {}, image, "detect the edges of this one")


def run(engine: Engine, names: Mapping[Path, str], records: Records) -> Iterator[Outcome]:
    """Skips what is done, and makes the rest; outcomes are called by the path of their image."""
    paths = {name: path for path, name in names.items()}
    if isinstance(engine.source, EdgeFolder):
        engine.source.expect(paths)
    items: list[Item] = []
    for path, name in names.items():
        edges = engine.source.path_of(name) if isinstance(engine.source, EdgeFolder) else None
        try:
            done = records.is_done(name, path)
            if edges is not None and not done:
                _refuse_edges_of_others(edges, path)
        except (FileError, OSError) as error:
            yield Outcome(str(path), "failed", str(error))
            continue
        if done:
            yield Outcome(str(path), "skipped", records.difference(name, edges))
        else:
            items.append(Item(len(items), name, PathPlace(str(path)), str(path)))
    for outcome in engine.alone(stretches_of(items, engine.batch_size)):
        path = paths[outcome.key]
        yield Outcome(str(path), outcome.state, outcome.message, outcome.record)


def curve_of(emergence: Emergence) -> dict[str, Any]:
    """The curve of one image as JSON holds it."""
    curve = [round(float(value), 8) for value in emergence.curve[0]]
    return {"timesteps": emergence.timesteps.tolist(), "curve": curve}


def encoded(stored: np.ndarray | Image.Image) -> bytes:
    """An image as PNG; an array of edges as npy, of whole numbers as PNG."""
    content = io.BytesIO()
    if isinstance(stored, np.ndarray) and stored.dtype == np.float32:
        np.save(content, stored)
    else:
        image = stored if isinstance(stored, Image.Image) else Image.fromarray(stored)
        image.save(content, "PNG")
    return content.getvalue()
