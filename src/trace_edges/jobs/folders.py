"""Image files into a folder of results: what is done is skipped, what fails is reported, the rest
is done. Every image has a record beside its results, so that a small job needs no manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from trace_edges.edge_folder import EdgeFolder
from trace_edges.files import FileError, read_json, write_json
from trace_edges.formats.coco_set import category_entries, numbered
from trace_edges.formats.listing import Entry, ImageList
from trace_edges.jobs.engine import Engine, stretches_of
from trace_edges.jobs.entries import Item, PathPlace
from trace_edges.jobs.records import Records, read_record, refuse_other_image
from trace_edges.jobs.task import Facts, Outcome, Result
from trace_edges.jobs.tasks import EdgesTask, Finder, InstancesTask
from trace_edges.outputs import Outputs
from trace_edges.results import Emergence
from trace_edges.sources import EdgeSource

SUMMARY = "instances.json"


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
        task: format and kind of the edges.
        overwrite: make again what the command wrote there; what others wrote stays.
        batch_size: images that are read at one size share a pass.

    Raises:
        OSError: the results cannot be written (a full disk); nothing half-written stays.
        ValueError: the settings fit no image.
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
    kind = {"command": "detect", "kind": task.kind, "format": task.format}
    outputs = Outputs("detect", tuple(names), overwrite)
    outputs.check_folder(folder)
    records = Records(folder, task.suffixes, kind, described, extra, outputs, indent=1)
    engine = Engine(source, chosen, task, records, batch_size)
    yield from _run(engine, names, records)


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
    edges = source.folder if isinstance(source, EdgeFolder) else None
    outputs = segment_outputs(edges, names, folder, overwrite=overwrite)

    def extra(item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        read = None if facts.emergence is None else facts.timestep
        timestep = result.record.get("timestep", read)
        instances = len(result.record["annotations"])
        return {"instances": instances, "timestep": timestep, "settings": dict(made_with)}

    kind = {"command": outputs.command}
    records = Records(folder, task.suffixes, kind, made_with, extra, outputs)
    finished = []
    for outcome in _run(Engine(source, chosen, task, records), names, records):
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


def curve_of(emergence: Emergence) -> dict[str, Any]:
    """The curve of one image as JSON holds it."""
    curve = [round(float(value), 8) for value in emergence.curve[0]]
    return {"timesteps": emergence.timesteps.tolist(), "curve": curve}


def _refuse_edges_of_others(source: EdgeSource[Any], name: str, image: Path) -> None:
    """FileError where stored edges have a record by `detect`, and that is of another image."""
    if isinstance(source, EdgeFolder) and (edges := source.path_of(name)) is not None:
        path = edges.with_name(f"{edges.stem.removesuffix('.edges')}.json")
        refuse_other_image(path, read_record(path) or {}, image, "detect the edges of this one")


def _run(engine: Engine, names: Mapping[Path, str], records: Records) -> Iterator[Outcome]:
    """Skips what is done, and makes the rest; outcomes are called by the path of their image."""
    paths = {name: path for path, name in names.items()}
    if isinstance(engine.source, EdgeFolder):
        engine.source.expect(paths)
    items: list[Item] = []
    for path, name in names.items():
        try:
            done = records.is_done(name, path)
            if not done:
                _refuse_edges_of_others(engine.source, name, path)
        except (FileError, OSError) as error:
            yield Outcome(str(path), "failed", str(error))
            continue
        if done:
            yield Outcome(str(path), "skipped", records.difference(name))
        else:
            items.append(Item(len(items), name, PathPlace(str(path)), str(path)))
    for outcome in engine.alone(stretches_of(items, engine.batch_size)):
        path = paths[outcome.key]
        yield Outcome(str(path), outcome.state, outcome.message, outcome.record)


def _write_summary(paths: Mapping[str, Path], records: Records, task: InstancesTask) -> None:
    """COCO annotations of all images from their records, which also know scores and overlaps."""
    if not paths:
        return
    listed_as = {
        name: (PurePath(name).parent / path.name).as_posix() for name, path in paths.items()
    }
    listed = ImageList(paths, listed_as)
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
