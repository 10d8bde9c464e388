"""Panoptic quality of files in COCO's format: a JSON, and a folder of PNGs with segment ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from trace_edges.files import FileError, read_json
from trace_edges.formats.classes import read_categories
from trace_edges.formats.coco_models import PANOPTIC_ANNOTATION, PANOPTIC_CATEGORY
from trace_edges.formats.coco_truth import sound_segments
from trace_edges.formats.entries import refuse_unsound, shown, sound_entries
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.formats.values import Key
from trace_edges.metrics.edges import spread
from trace_edges.metrics.panoptic import (
    Panoptic,
    PanopticCounts,
    PanopticScores,
    Protocol,
    SegmentInfo,
    check_categories,
    panoptic_counts,
    panoptic_scores,
)
from trace_edges.results import Category


@dataclass(frozen=True)
class PanopticFile:
    """Where the segments of an image lie, and their entries in the JSON."""

    path: Path
    segments: tuple[SegmentInfo, ...]

    def read(self) -> Panoptic:
        """The image in segments.

        Raises:
            FileNotFoundError: there is no such PNG.
            ValueError: it is no panoptic PNG, or it and the JSON disagree; the line names it.
        """
        ids = read_panoptic_ids(self.path)
        try:
            return Panoptic(ids, self.segments)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error


Task = tuple[Any, PanopticFile, PanopticFile, tuple[Category, ...]]  # id, prediction, ground truth


def evaluate_panoptic(
    predictions: str | PathLike[str],
    ground_truth: str | PathLike[str],
    prediction_folder: str | PathLike[str] | None = None,
    ground_truth_folder: str | PathLike[str] | None = None,
    *,
    protocol: Protocol = "coco",
    workers: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> PanopticScores:
    """Panoptic quality of predictions in COCO's panoptic format.

    Args:
        predictions, ground_truth: the JSON files. Categories are those of the ground truth.
        prediction_folder, ground_truth_folder: where their PNGs are; by default the folder beside
            the JSON called like it, without ".json", or "panoptic".
        protocol: "coco" for any classes, "voc" to hold them to 20 things and background.
        workers: processes that share the images. Two or more are spawned, so a script must call
            this under `if __name__ == "__main__":`.
        progress: called after each image with how many are done, and how many there are.

    Returns:
        PQ, SQ and RQ in [0, 1], of all classes, of things, of stuff, and of each class.

    Raises:
        OSError: a file is missing, or a JSON unreadable.
        ValueError: a file is of another form or damaged, PNG and JSON disagree, an image is on
            one side only, or the categories are not the protocol's.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    truth_json, predicted_json = _panoptic_json(ground_truth), _panoptic_json(predictions)
    categories = read_categories(PANOPTIC_CATEGORY, truth_json, ground_truth)
    check_categories(categories, protocol)
    truths = _files(truth_json, ground_truth, ground_truth_folder)
    predicted = _files(predicted_json, predictions, prediction_folder)
    if alone := truths.keys() - predicted.keys():
        problem = f"lacks image {shown(min(alone, key=str))} ({len(alone)} in all)"
        mend = "an image without segments is listed too, with an empty segments_info"
        raise FileError(predictions, problem, mend)
    if alone := predicted.keys() - truths.keys():
        first = f"lists image {shown(min(alone, key=str))}"
        problem = f"{first}, which {ground_truth} does not ({len(alone)} in all)"
        raise FileError(predictions, problem, "leave it out")
    tasks = ((id, predicted[id], truth, categories) for id, truth in truths.items())
    counted = spread(_count, tasks, workers)
    return panoptic_scores(_reported(counted, len(truths), progress), categories, protocol)


def _reported(
    counts: Iterable[PanopticCounts], total: int, progress: Callable[[int, int], object] | None
) -> Iterator[PanopticCounts]:
    for done, one in enumerate(counts, 1):
        if progress is not None:
            progress(done, total)
        yield one


def _count(task: Task) -> PanopticCounts:
    id, prediction, truth, categories = task
    pair = prediction.read(), truth.read()
    try:
        return panoptic_counts(*pair, categories)
    except ValueError as error:
        raise ValueError(f"{prediction.path} (image {id}): {error}") from error


def _panoptic_json(path: str | PathLike[str]) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or "annotations" not in content:
        mend = "give an object with 'annotations' that have segments_info"
        raise FileError(path, "is not a COCO panoptic file", mend)
    return content


def _files(
    content: dict[str, Any], path: str | PathLike[str], folder: str | PathLike[str] | None
) -> dict[Key, PanopticFile]:
    """The PNG of every image, by id."""
    home = Path(path)
    usual = [home.with_suffix(""), home.parent / "panoptic"]
    pngs = Path(folder) if folder else next(filter(Path.is_dir, usual), usual[0])
    if not pngs.is_dir():
        raise ValueError(
            f"{pngs}: there is no such folder with the PNGs of {path}: give theirs "
            "(prediction_folder, ground_truth_folder)"
        )
    annotations, findings = sound_entries(PANOPTIC_ANNOTATION, content, "annotations", path)
    refuse_unsound(findings)
    files = {}
    for entry in annotations:
        listed, unsound = sound_segments(entry.segments_info, f"{path}: {entry.name}")
        refuse_unsound(unsound)
        segments = tuple(SegmentInfo(one.id, one.category_id, one.iscrowd) for one in listed)
        if entry.image_id in files:
            problem = f"lists image {shown(entry.image_id)} twice"
            raise FileError(path, problem, "merge its annotations")
        files[entry.image_id] = PanopticFile(pngs / entry.file_name, segments)
    return files
