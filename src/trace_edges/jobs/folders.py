"""Image files into a folder of results: what is done is skipped, what fails is reported, the rest
is done. Every image has a record beside its results, so that a small job needs no manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_edges import __version__
from trace_edges.files import read_json, write_atomically, write_json
from trace_edges.formats.coco_models import CATEGORY
from trace_edges.formats.listing import Entry, ImageList
from trace_edges.jobs.engine import Engine, stretches_of
from trace_edges.jobs.entries import Item, PathPlace
from trace_edges.jobs.task import Facts, Outcome, Result
from trace_edges.jobs.tasks import EdgesTask, Finder, InstancesTask
from trace_edges.results import Emergence
from trace_edges.sources import EdgeSource

SUMMARY = "instances.json"

Extra = Callable[[Item, Result, Facts], Mapping[str, Any]]


@dataclass(frozen=True)
class Records:
    """Results as FOLDER/NAME.SUFFIX, and beside them FOLDER/NAME.json, which comes last and so says
    that all are there.

    Attributes:
        folder: where to.
        suffixes: of the results.
        settings: all that they are made with.
        extra: further entries of a record, its settings among them.
        indent: of the records.
    """

    folder: Path
    suffixes: tuple[str, ...]
    settings: Mapping[str, Any]
    extra: Extra
    indent: int | None = None

    def record(self, name: str) -> Path:
        """The record of an image."""
        return self.folder / f"{name}.json"

    def is_done(self, name: str) -> bool:
        """All results of an image are there."""
        files = [self.folder / f"{name}.{suffix}" for suffix in self.suffixes]
        return all(path.exists() for path in (*files, self.record(name)))

    def difference(self, name: str) -> str:
        """How the settings of what is there differ from those asked for; empty if they do not."""
        path = self.record(name)
        try:
            made_with = json.loads(path.read_text())["settings"]
        except (ValueError, KeyError, TypeError):
            return f"{path} is no record of this program; --overwrite makes it again"
        others = [
            f"{key} {made_with.get(key)}, not {value}"
            for key, value in self.settings.items()
            if made_with.get(key) != value
        ]
        return f"was made with {'; '.join(others)}: --overwrite makes it again" if others else ""

    def __call__(self, item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        """Writes the results and the record of an image; gives the record."""
        path = self.record(item.key)
        path.unlink(missing_ok=True)  # an older one must not vouch for new results
        for suffix, content in result.files.items():
            with write_atomically(self.folder / f"{item.key}.{suffix}") as temporary:
                temporary.write_bytes(content)
        record = {
            "image": item.name,
            "height": facts.height,
            "width": facts.width,
            **self.extra(item, result, facts),
            "seconds": facts.seconds,
            "trace_edges": __version__,
            **result.record,
        }
        write_json(record, path, indent=self.indent)
        return record


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
        names: image path -> name of its results (see `output_names`).
        folder: where to.
        settings: how images are read; None: the source's default.
        task: format and kind of the edges.
        overwrite: make again what is there.
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
        read = {"kind": task.kind, "timestep": facts.timestep, "emergence": emergence}
        return {**files, **read, "settings": described | dict(facts.made_with)}

    described = source.describe(chosen)
    records = Records(folder, task.suffixes, described, extra, indent=1)
    engine = Engine(source, chosen, task, records, batch_size)
    yield from _run(engine, names, records, overwrite=overwrite)


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
        names: image path -> name of its results (see `output_names`).
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
    for path, name in names.items():
        if name.casefold() == Path(SUMMARY).stem:
            raise ValueError(f"{path}: its record would be {SUMMARY}, which lists all images: "
                             "rename it")  # fmt: skip

    def extra(item: Item, result: Result, facts: Facts) -> Mapping[str, Any]:
        read = None if facts.emergence is None else facts.timestep
        timestep = result.record.get("timestep", read)
        instances = len(result.record["annotations"])
        return {"instances": instances, "timestep": timestep, "settings": dict(made_with)}

    records = Records(folder, task.suffixes, made_with, extra)
    finished = []
    for outcome in _run(Engine(source, chosen, task, records), names, records, overwrite=overwrite):
        if outcome.state != "failed":
            finished.append(Path(outcome.key))
        told = {k: v for k, v in outcome.record.items() if k != "annotations"}
        yield Outcome(outcome.key, outcome.state, outcome.message, told)
    _write_summary({names[path]: path for path in sorted(finished, key=list(names).index)}, records)


def curve_of(emergence: Emergence) -> dict[str, Any]:
    """The curve of one image as JSON holds it."""
    curve = [round(float(value), 8) for value in emergence.curve[0]]
    return {"timesteps": emergence.timesteps.tolist(), "curve": curve}


def _run(
    engine: Engine, names: Mapping[Path, str], records: Records, *, overwrite: bool
) -> Iterator[Outcome]:
    """Skips what is done, and makes the rest; outcomes are called by the path of their image."""
    paths = {name: path for path, name in names.items()}
    items: list[Item] = []
    for path, name in names.items():
        if not overwrite and records.is_done(name):
            yield Outcome(str(path), "skipped", records.difference(name))
        else:
            items.append(Item(len(items), name, PathPlace(str(path)), str(path)))
    for outcome in engine.alone(stretches_of(items, engine.batch_size)):
        path = paths[outcome.key]
        yield Outcome(str(path), outcome.state, outcome.message, outcome.record)


def _write_summary(paths: Mapping[str, Path], records: Records) -> None:
    """COCO annotations of all images from their records, which also know scores and overlaps."""
    if not paths:
        return
    listed = ImageList(paths, {name: path.name for name, path in paths.items()})
    images: list[Entry] = []
    annotations: list[Entry] = []
    for name, number in listed.ids.items():
        record = read_json(records.record(name))
        images.append(listed.entry(name, (record["height"], record["width"])))
        for entry in record["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
    categories = [{"id": CATEGORY, "name": "object", "supercategory": "object"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_json(content, records.folder / SUMMARY)
