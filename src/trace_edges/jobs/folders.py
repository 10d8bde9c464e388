"""Image files into a folder of instances, and one list of them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from trace_edges.edge_folder import EdgeFolder
from trace_edges.files import read_json, write_json
from trace_edges.formats.coco_set import category_entries, numbered
from trace_edges.formats.listing import Entry, ImageList
from trace_edges.jobs.detecting import run
from trace_edges.jobs.engine import Engine
from trace_edges.jobs.entries import Item
from trace_edges.jobs.records import EDGES, Records, identity
from trace_edges.jobs.task import Facts, Outcome, Result
from trace_edges.jobs.tasks import Finder, InstancesTask
from trace_edges.outputs import Outputs
from trace_edges.sources import EdgeSource

SUMMARY = "instances.json"


def segment_files(
    source: EdgeSource[Any],
    names: Mapping[Path, str],
    folder: Path,
    settings: Any = None,
    *,
    find: Finder,
    made_with: Mapping[str, Any],
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Finds instances in image files; one Outcome per file, as it is finished.

    Writes NAME.instances.png (16-bit labels; the smaller on top), NAME.overlay.png and NAME.json
    for every image, and when the last is done instances.json: COCO annotations of all that are
    there, with scores.

    Args:
        source: of the edges.
        names: image path -> name of its results (see `trace_edges.inputs.Found`).
        folder: where to.
        settings: how images are read; None: the source's default.
        find: finds the instances.
        made_with: all that the results depend on, for their records.
        overwrite: make again what is there.

    Raises:
        ImportError: pycocotools is not installed.
        OSError: the results cannot be written (a full disk); nothing half-written stays.
        ValueError: an image is called "instances", or the settings fit no image.
    """
    task = InstancesTask(find, overlay=True)
    task.check()  # now, not after the first image
    chosen = source.default if settings is None else settings
    source.check(chosen)
    made_with = {**made_with, "weights": source.fingerprint()}
    stored = source if isinstance(source, EdgeFolder) else None
    edges = None if stored is None else stored.folder
    outputs = segment_outputs(edges, names, folder, overwrite=overwrite)

    def extra(item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        read = None if facts.emergence is None else facts.timestep
        timestep = result.record.get("timestep", read)
        instances = len(result.record["annotations"])
        told = {"instances": instances, "timestep": timestep, "settings": dict(made_with)}
        read_from = None if stored is None else stored.path_of(item.key)
        return told if read_from is None else {**told, EDGES: identity(read_from)}

    kind = {"command": outputs.command}
    records = Records(folder, task.suffixes, kind, made_with, extra, outputs, listed=True)
    finished = []
    for outcome in run(Engine(source, chosen, task, records), names, records):
        if outcome.state != "failed":
            finished.append(Path(outcome.key))
        told = {k: v for k, v in outcome.record.items() if k != "annotations"}
        yield Outcome(outcome.key, outcome.state, outcome.message, told)
    listed = {names[path]: path for path in sorted(finished, key=list(names).index)}
    _write_summary(listed, records, task)


def segment_outputs(
    edges: Path | None, names: Mapping[Path, str], folder: Path, *, overwrite: bool = False
) -> Outputs:
    """The guard of `segment_files`, which can be asked before a model is loaded.

    Raises:
        ValueError: an image is called "instances", or `folder` is that of the edges, or holds
            another instances.json.
    """
    for path, name in names.items():
        if name.casefold() == Path(SUMMARY).stem:
            raise ValueError(f"{path}: its record would be {SUMMARY}, which lists all images: "
                             "rename it")  # fmt: skip
    outputs = Outputs("segment", (*names, *([] if edges is None else [edges])), overwrite)
    outputs.check_folder(folder)
    outputs.check(folder / SUMMARY)
    return outputs


def left_out(folder: Path, names: Mapping[Path, str]) -> int:
    """How many images the list that is in a folder has, and that of these images will not have."""
    try:
        before = {one["file_name"] for one in read_json(folder / SUMMARY)["images"]}
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or it is not ours
        return 0
    return len(before - {_listed_as(path, name) for path, name in names.items()})


def _listed_as(path: Path, name: str) -> str:
    return (PurePath(name).parent / path.name).as_posix()


def _write_summary(paths: Mapping[str, Path], records: Records, task: InstancesTask) -> None:
    """COCO annotations of all images from their records, which also know scores and overlaps."""
    if not paths:
        return
    listed = ImageList(paths, {name: _listed_as(path, name) for name, path in paths.items()})
    images: list[Entry] = []
    annotations: list[Entry] = []
    for name, number in listed.ids.items():
        record = read_json(records.record(name))
        images.append(listed.entry(name, (record["height"], record["width"])))
        for entry in record["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
    categories = category_entries(numbered(task.classes))
    content = {"images": images, "annotations": annotations, "categories": categories}
    with records.outputs.writing():
        write_json(content, records.folder / SUMMARY)
