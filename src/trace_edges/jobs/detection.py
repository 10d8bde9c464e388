"""Edges of many image files into a folder: skip what is done, report what fails, do the rest."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from jaxtyping import UInt8

from trace_edges import __version__
from trace_edges.detector import DetectorSettings
from trace_edges.drawing.overlays import overlay
from trace_edges.files import write_json
from trace_edges.formats.edge_maps import EdgeFormat, write_edge_map
from trace_edges.formats.pixels import write_png
from trace_edges.images import ImageError, ImageSource, load_image
from trace_edges.results import EdgeMap
from trace_edges.training_free.settings import TraceSettings

EdgeKind = Literal["thin", "soft"]


Settings = TypeVar("Settings", contravariant=True)


class EdgeSource(Protocol[Settings]):
    """What makes edges of pictures: the training-free pipeline or a distilled detector."""

    def each(
        self, images: Iterable[ImageSource], settings: Settings, batch_size: int
    ) -> Iterator[EdgeMap]:
        """One EdgeMap (N = 1) after the other."""

    def describe(self, settings: Settings) -> dict[str, Any]:
        """What the results are made with."""


@dataclass(frozen=True)
class OutputOptions:
    """What is written for every image.

    Attributes:
        folder: where to.
        format: of NAME.edges: 8-bit PNG, 16-bit PNG (png16), or float32 in [0, 1] (npy).
        kind: "thin" lines (0 off the ridges) or the "soft" map they are the ridges of.
        overwrite: make again what is there.
    """

    folder: Path
    format: EdgeFormat = "png"
    kind: EdgeKind = "thin"
    overwrite: bool = False

    def files(self, name: str) -> dict[str, Path]:
        """The files of one image; the record comes last, so it says that all are there."""
        edges = "edges.npy" if self.format == "npy" else "edges.png"
        suffixes = {"edges": edges, "overlay": "overlay.png", "record": "json"}
        return {what: self.folder / f"{name}.{suffix}" for what, suffix in suffixes.items()}


@dataclass(frozen=True)
class Outcome:
    """What became of one image; `message` says why it failed, `record` is what the JSON holds."""

    image: Path
    state: Literal["done", "skipped", "failed"]
    message: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


def detect_files(
    source: EdgeSource[Any],
    names: Mapping[Path, str],
    output: OutputOptions,
    settings: TraceSettings | DetectorSettings,
    batch_size: int = 1,
) -> Iterator[Outcome]:
    """Detect edges in image files; one Outcome per file, as it is finished.

    Args:
        source: the pipeline or a detector.
        names: image path -> name of its results (see `output_names`).
        output: where and how to write.
        settings: how it looks.
        batch_size: neighbouring images that the model sees at one size share a pass.

    Raises:
        OSError: the results cannot be written (a full disk); nothing half-written stays.
    """
    if not output.overwrite:
        done = [path for path, name in names.items() if _complete(output.files(name))]
        wanted = source.describe(settings)
        for path in done:
            yield Outcome(path, "skipped", settings_difference(output.files(names[path]), wanted))
        names = {path: name for path, name in names.items() if path not in set(done)}

    failed: list[Outcome] = []
    waiting: deque[tuple[Path, UInt8[np.ndarray, "h w 3"]]] = deque()

    def readable() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for path in names:
            try:
                picture = load_image(path)
            except ImageError as error:
                failed.append(Outcome(path, "failed", str(error)))
                continue
            waiting.append((path, picture))
            yield picture

    started = time.perf_counter()
    for result in source.each(readable(), settings, batch_size):
        path, picture = waiting.popleft()
        files = output.files(names[path])
        seconds = time.perf_counter() - started
        record = _record(path, picture, result, files, output, seconds)
        _write(files, picture, result, output, record)
        yield from _drain(failed)
        yield Outcome(path, "done", record=record)
        started = time.perf_counter()
    yield from _drain(failed)


def _drain(outcomes: list[Outcome]) -> Iterator[Outcome]:
    while outcomes:
        yield outcomes.pop(0)


def _complete(files: Mapping[str, Path]) -> bool:
    return all(path.exists() for path in files.values())


def settings_difference(files: Mapping[str, Path], wanted: Mapping[str, Any]) -> str:
    """How the settings of what is there differ from the ones asked for; empty if they do not."""
    try:
        made_with = json.loads(files["record"].read_text())["settings"]
    except (ValueError, KeyError, TypeError):
        return f"{files['record']} is no record of this program; --overwrite makes it again"
    others = [
        f"{key} {made_with.get(key)}, not {value}"
        for key, value in wanted.items()
        if made_with.get(key) != value
    ]
    return f"was made with {'; '.join(others)}: --overwrite makes it again" if others else ""


def _record(
    path: Path,
    picture: UInt8[np.ndarray, "h w 3"],
    result: EdgeMap,
    files: Mapping[str, Path],
    output: OutputOptions,
    seconds: float,
) -> dict[str, Any]:
    emergence = result.emergence
    return {
        "image": str(path),
        "height": picture.shape[0],
        "width": picture.shape[1],
        "edges": files["edges"].name,
        "overlay": files["overlay"].name,
        "kind": output.kind,
        "timestep": 0 if emergence is None else int(emergence.timestep[0]),
        "emergence": None
        if emergence is None
        else {
            "timesteps": emergence.timesteps.tolist(),
            "curve": [round(float(value), 8) for value in emergence.curve[0]],
        },
        "settings": dict(result.settings),
        "seconds": round(seconds, 3),
        "trace_edges": __version__,
    }


def _write(
    files: Mapping[str, Path],
    picture: UInt8[np.ndarray, "h w 3"],
    result: EdgeMap,
    output: OutputOptions,
    record: Mapping[str, Any],
) -> None:
    files["record"].unlink(missing_ok=True)  # an older one must not vouch for new edges
    thin = result.thin[0]
    edges = thin if output.kind == "thin" else result.edges[0]
    write_edge_map(edges, files["edges"], output.format)
    write_png(overlay(picture, thin), files["overlay"])
    write_json(record, files["record"], indent=1)
