"""Instances of image files into a folder: skip what is done, report what fails, do the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from trace_edges import __version__
from trace_edges.drawing.overlays import instance_overlay
from trace_edges.extras import require
from trace_edges.files import read_json, write_json
from trace_edges.formats.coco import CATEGORY, coco_entries
from trace_edges.formats.labels import write_label_png
from trace_edges.formats.listing import Entry, ImageList
from trace_edges.formats.pixels import write_png
from trace_edges.images import ImageError, load_image
from trace_edges.jobs.detection import Outcome, settings_difference
from trace_edges.jobs.finder import Found, InstanceFinder, PictureError

SUMMARY = "instances.json"


def segment_files(
    finder: InstanceFinder, names: Mapping[Path, str], folder: Path, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Find instances in image files; one Outcome per file, as it is finished.

    Writes NAME.instances.png (16-bit labels; the smaller on top), NAME.overlay.png and NAME.json
    for every image, and when the last is done instances.json: COCO annotations of all that are
    there, with scores.

    Args:
        finder: how.
        names: image path -> name of its results (see `output_names`).
        folder: where to.
        overwrite: make again what is there.

    Raises:
        ImportError: pycocotools is not installed.
        OSError: the results cannot be written (a full disk); nothing half-written stays.
        ValueError: an image is called "instances", the edges lie in `folder`, or settings do not
            fit.
    """
    require("pycocotools.mask", "export")  # now, not after the first picture
    if finder.edges is not None and finder.edges.folder.resolve() == folder.resolve():
        raise ValueError(f"{folder} holds the edges, with records of their own: give another one")
    for path, name in names.items():
        if name.casefold() == Path(SUMMARY).stem:
            raise ValueError(f"{path}: its record would be {SUMMARY}, which lists all images: "
                             "rename it")  # fmt: skip
    settings = finder.describe()
    there = []
    for path, name in names.items():
        files = _files(folder, name)
        if not overwrite and all(file.exists() for file in files.values()):
            yield Outcome(path, "skipped", settings_difference(files, settings))
            there.append(path)
            continue
        started = time.perf_counter()
        try:
            picture = load_image(path)
            found = finder(picture, name)
        except (ImageError, PictureError) as error:
            yield Outcome(path, "failed", str(error))
            continue
        seconds = time.perf_counter() - started
        record = _record(path, picture, found, settings, seconds)
        _write(files, picture, found, record)
        there.append(path)
        told = {key: value for key, value in record.items() if key != "annotations"}
        yield Outcome(path, "done", record=told)
    _write_summary({names[path]: path for path in there}, folder)


def _files(folder: Path, name: str) -> dict[str, Path]:
    """The files of one image; the record comes last, so it says that all are there."""
    suffixes = {"labels": "instances.png", "overlay": "overlay.png", "record": "json"}
    return {what: folder / f"{name}.{suffix}" for what, suffix in suffixes.items()}


def _record(
    path: Path,
    picture: UInt8[np.ndarray, "h w 3"],
    found: Found,
    settings: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    entries = coco_entries(found.instances, 0)
    return {
        "image": str(path),
        "height": picture.shape[0],
        "width": picture.shape[1],
        "instances": len(found.instances),
        "timestep": found.timestep,
        "settings": dict(settings),
        "seconds": round(seconds, 3),
        "trace_edges": __version__,
        "annotations": [{k: v for k, v in one.items() if k != "image_id"} for one in entries],
    }


def _write(
    files: Mapping[str, Path],
    picture: UInt8[np.ndarray, "h w 3"],
    found: Found,
    record: Mapping[str, Any],
) -> None:
    files["record"].unlink(missing_ok=True)  # an older one must not vouch for new instances
    write_label_png(found.instances.label_map, files["labels"])
    write_png(instance_overlay(picture, found.instances), files["overlay"])
    write_json(record, files["record"])


def _write_summary(paths: Mapping[str, Path], folder: Path) -> None:
    """COCO annotations of all images from their records, which also know scores and overlaps."""
    if not paths:
        return
    listed = ImageList(paths, {name: path.name for name, path in paths.items()})
    images: list[Entry] = []
    annotations: list[Entry] = []
    for name, number in listed.ids.items():
        record = read_json(_files(folder, name)["record"])
        images.append(listed.entry(name, (record["height"], record["width"])))
        for entry in record["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
    categories = [{"id": CATEGORY, "name": "object", "supercategory": "object"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(content, folder / SUMMARY)
