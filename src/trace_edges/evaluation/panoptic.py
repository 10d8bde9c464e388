"""Panoptic quality of files in COCO's format: a JSON, and a folder of PNGs with segment ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from trace_edges.files import read_json
from trace_edges.formats.panoptic import read_panoptic_ids
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

    Raises:
        OSError: a file is missing, or a JSON unreadable.
        ValueError: a file is of another form or damaged, PNG and JSON disagree, an image is on
            one side only, or the categories are not the protocol's.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    truth_json, predicted_json = _panoptic_json(ground_truth), _panoptic_json(predictions)
    categories = _categories(truth_json, ground_truth)
    check_categories(categories, protocol)
    truths = _files(truth_json, ground_truth, ground_truth_folder)
    predicted = _files(predicted_json, predictions, prediction_folder)
    if alone := truths.keys() - predicted.keys():
        raise ValueError(
            f"{predictions} lacks image {min(alone, key=str)} ({len(alone)} in all): an image "
            "without segments is listed too, with an empty segments_info"
        )
    if alone := predicted.keys() - truths.keys():
        raise ValueError(
            f"{predictions} lists image {min(alone, key=str)}, which {ground_truth} does not "
            f"({len(alone)} in all): leave it out"
        )
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


def _panoptic_json(path: str | PathLike[str]) -> Mapping[str, Any]:
    content = read_json(path)
    if not isinstance(content, Mapping) or "annotations" not in content:
        raise ValueError(f"{path} is no COCO panoptic file: it needs 'annotations'")
    return content


def _categories(content: Mapping[str, Any], path: str | PathLike[str]) -> tuple[Category, ...]:
    try:
        return tuple(
            Category(entry["id"], entry.get("name", str(entry["id"])), bool(entry["isthing"]))
            for entry in content["categories"]
        )
    except KeyError as error:
        raise ValueError(
            f"{path} lacks {error} in its categories: each needs an id, and isthing 1 or 0"
        ) from error


def _files(
    content: Mapping[str, Any], path: str | PathLike[str], folder: str | PathLike[str] | None
) -> dict[Any, PanopticFile]:
    """The PNG of every image, by id."""
    home = Path(path)
    usual = [home.with_suffix(""), home.parent / "panoptic"]
    pngs = Path(folder) if folder else next(filter(Path.is_dir, usual), usual[0])
    if not pngs.is_dir():
        raise ValueError(
            f"{pngs}, with the PNGs of {path}, is no folder: name it (prediction_folder, "
            "ground_truth_folder)"
        )
    files = {}
    for entry in content["annotations"]:
        try:
            segments = tuple(
                SegmentInfo(one["id"], one["category_id"], bool(one.get("iscrowd", 0)))
                for one in entry["segments_info"]
            )
            id, file = entry["image_id"], PanopticFile(pngs / entry["file_name"], segments)
        except KeyError as error:
            raise ValueError(
                f"{path}: annotation of image {entry.get('image_id')} lacks {error}: "
                "COCO's panoptic format asks for it"
            ) from error
        if id in files:
            raise ValueError(f"{path} lists image {id} twice: merge its annotations")
        files[id] = file
    return files
