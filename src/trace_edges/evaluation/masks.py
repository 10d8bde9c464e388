"""Masks of COCO files scored: instances as ground truth, results or annotations as predictions.

A file is read into plain numbers: images 1 ... n in the order of their ids, and masks as compressed
RLE. Sizes are those of the RLE, since some generators swap width and height in `images`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import PurePath
from typing import Any, Literal

from trace_edges.files import read_json
from trace_edges.formats.rle import RunsError, compress_runs, mask_runs
from trace_edges.metrics.masks import (
    Backend,
    ImageKey,
    Mask,
    MaskScores,
    ScorePolicy,
    check_policy,
    choose_backend,
    score_masks,
)

Source = str | PathLike[str] | Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class TrueImage:
    """An image of the ground truth: its number from 1, its (height, width), its file name."""

    number: int
    size: tuple[int, int]
    file_name: str | None


def evaluate_masks(
    predictions: Source,
    ground_truth: Source,
    *,
    score: ScorePolicy = "given",
    backend: Backend | Literal["auto"] = "auto",
) -> MaskScores:
    """Class-agnostic AP and AR of masks; the order of the file does not change a score.

    Masks of one score are ranked by falling area, then by their RLE, and images by rising id.
    Boxes are left aside, so a prediction is as large as its mask.

    Args:
        predictions: a COCO results list, a COCO annotations JSON, or the content of either.
        ground_truth: a COCO instances JSON, or its content: polygons or RLE, crowds as such.
        score: "given" takes the scores of the predictions; "constant" and "area" replace them.
        backend: the evaluator; "auto" takes the fastest that is installed.

    Raises:
        ValueError: a file is of another form, an image is not in the ground truth, sizes differ,
            scores are missing, or there is nothing to find.
        MissingExtraError: pycocotools, which reads the masks, or the backend is not installed.
    """
    check_policy(score)
    evaluator = choose_backend(backend)
    images, truths = read_ground_truth(ground_truth)
    if all(truth.crowd for truth in truths):
        name = source_name(ground_truth, "the ground truth")
        raise ValueError(f"{name} has no mask to be found, crowds aside: check it")
    found, images_by = read_predictions(predictions, images)
    return score_masks(
        [image.size for image in images.values()],
        truths,
        found,
        score=score,
        backend=evaluator,
        images_by=images_by,
        name=source_name(predictions, "the predictions"),
    )


def read_ground_truth(source: Source) -> tuple[dict[Any, TrueImage], list[Mask]]:
    """Images by id, and masks in the order of the file, of a COCO instances JSON or its content.

    Raises:
        ValueError: it is of another form, an annotation belongs to no image, or a mask's size is
            not its image's.
    """
    name, content = _content(source, "the ground truth")
    if not isinstance(content, Mapping) or not {"images", "annotations"} <= content.keys():
        raise ValueError(f"{name} is no COCO instances file: it needs 'images' and 'annotations'")
    entries = {_field(entry, "id", f"{name}: an image"): entry for entry in content["images"]}
    if len(entries) < len(content["images"]):
        raise ValueError(f"{name} gives one id to several images: number them anew")
    texts = any(isinstance(key, str) for key in entries)
    images = {
        key: _true_image(entries[key], number, f"{name}: image {key}")
        for number, key in enumerate(sorted(entries, key=str if texts else None), 1)
    }
    masks = []
    for entry in content["annotations"]:
        what = f"{name}: annotation {entry.get('id', '')}"
        image = images.get(_field(entry, "image_id", what))
        if image is None:
            raise ValueError(
                f"{what} is of image {entry['image_id']}, which 'images' does not list"
            )
        rle, area = _rle(_field(entry, "segmentation", what), image.size, what)
        area = entry.get("area", area)
        masks.append(Mask(image.number, rle, float(area), bool(entry.get("iscrowd", 0))))
    return images, masks


def read_predictions(
    source: Source, images: Mapping[Any, TrueImage]
) -> tuple[list[Mask], ImageKey]:
    """Masks of a COCO results list, or of a COCO annotations JSON with or without scores.

    Images are found by id. A file that lists images of its own, whose ids stand for other file
    names than in the ground truth (as when a generator numbers a folder from 1), is read by file
    name without folder and suffix.

    Returns:
        The masks in the order of the file, and what their images were found by.

    Raises:
        ValueError: it is of another form, an image is not in the ground truth, a size is not
            its image's, or a score is not a finite number.
    """
    name, content = _content(source, "the predictions")
    listed: Sequence[Mapping[str, Any]] = ()
    if isinstance(content, Mapping):
        listed = content.get("images", ())
        content = content.get("annotations")
    if not isinstance(content, Sequence):
        raise ValueError(f"{name} holds no masks: give a COCO results list or annotations JSON")
    found, key = _find_images(listed, images, name)
    masks = []
    for index, entry in enumerate(content):
        what = f"{name}: prediction {index}"
        image = found.get(_field(entry, "image_id", what))
        if image is None:
            raise ValueError(
                f"{what} is of image {entry['image_id']!r}, which the ground truth does not list: "
                "leave it out, or give the ground truth that these images belong to"
            )
        rle, area = _rle(_field(entry, "segmentation", what), image.size, what)
        masks.append(Mask(image.number, rle, float(area), score=_score(entry, what)))
    return masks, key


def source_name(source: Source, unnamed: str) -> str:
    """The name of a source in messages: its path where it has one."""
    return str(source) if isinstance(source, str | PathLike) else unnamed


def _content(source: Source, unnamed: str) -> tuple[str, Any]:
    content = read_json(source) if isinstance(source, str | PathLike) else source
    return source_name(source, unnamed), content


def _field(entry: Mapping[str, Any], key: str, what: str) -> Any:
    if key not in entry:
        raise ValueError(f"{what} has no {key!r}: COCO's format asks for it")
    return entry[key]


def _true_image(entry: Mapping[str, Any], number: int, what: str) -> TrueImage:
    size = int(_field(entry, "height", what)), int(_field(entry, "width", what))
    return TrueImage(number, size, entry.get("file_name"))


def _find_images(
    listed: Sequence[Mapping[str, Any]], images: Mapping[Any, TrueImage], name: str
) -> tuple[Mapping[Any, TrueImage], ImageKey]:
    """The true image of every image id that the predictions may use."""
    own = {entry.get("id"): _stem(entry.get("file_name")) for entry in listed}
    true = {key: _stem(image.file_name) for key, image in images.items()}
    if all(key in true and (not stem or true[key] in ("", stem)) for key, stem in own.items()):
        return images, "id"
    by_stem = {true[key]: image for key, image in images.items()}
    if not all(own.values()) or "" in by_stem or len(by_stem) < len(images):
        raise ValueError(
            f"{name} lists images under other ids than the ground truth, and file names do not "
            "tell them apart: give them the ids of the ground truth"
        )
    return {key: by_stem[stem] for key, stem in own.items() if stem in by_stem}, "file name"


def _stem(file_name: str | None) -> str:
    return PurePath(file_name).stem if file_name else ""


def _rle(segmentation: Any, size: tuple[int, int], what: str) -> tuple[dict[str, Any], int]:
    """Polygons, counts in a list or compressed counts as compressed RLE, and its area in px."""
    counts: Any = None
    if isinstance(segmentation, Mapping):
        _check_size(tuple(_field(segmentation, "size", f"{what}: its RLE")), size, what)
        counts = _field(segmentation, "counts", f"{what}: its RLE")
    elif not segmentation or any(len(polygon) < 6 for polygon in segmentation):
        raise ValueError(f"{what} has a segmentation that is neither RLE nor polygons of 3 points")
    try:
        runs = mask_runs(segmentation, size)
    except RunsError as error:
        problem = f"its counts sum to {error.total} px, not {size[0]} x {size[1]}"
        raise ValueError(f"{what}: {problem}") from error
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    text = counts if isinstance(counts, str) else compress_runs(runs, size)
    return {"size": list(size), "counts": text}, int(runs[1::2].sum())


def _check_size(own: tuple[int, ...], size: tuple[int, int], what: str) -> None:
    if own == size:
        return
    swapped = own == size[::-1]
    mend = (
        "height and width look swapped: RLE sizes are [height, width], and so must the masks be"
        if swapped
        else "give masks of the size of the images"
    )
    raise ValueError(f"{what} is {list(own)} in size and its image {list(size)}: {mend}")


def _score(entry: Mapping[str, Any], what: str) -> float | None:
    if (score := entry.get("score")) is None:
        return None
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise ValueError(f"{what} has the score {score!r}: a score is a finite number")
    return float(score)
