"""Masks of COCO files scored: instances as ground truth, results or annotations as predictions.

A file is read into plain numbers: images 1 ... n in the order of their ids, and masks as compressed
RLE. Sizes are those of the RLE, since some generators swap width and height in `images`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from trace_edges.formats.coco_file import Source, image_names, open_coco, source_name
from trace_edges.formats.coco_masks import checked_runs
from trace_edges.formats.coco_models import LISTED_IMAGE, MASK, SIZED_IMAGE, ListedImage
from trace_edges.formats.coco_models import Mask as Entry
from trace_edges.formats.entries import refuse_unsound, shown
from trace_edges.formats.rle import Size, compress_runs
from trace_edges.formats.truth import refusal
from trace_edges.formats.values import Key
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


@dataclass(frozen=True)
class TrueImage:
    """An image of the ground truth: its number from 1, its (height, width), its file name."""

    number: int
    size: Size
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

    Returns:
        AP, AP50, AP75 and AR@100 in [0, 1], with the numbers of images and masks.

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
        raise ValueError(
            f"{name} contains no mask apart from crowds: check that it is the ground truth"
        )
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


def read_ground_truth(source: Source) -> tuple[dict[Key, TrueImage], list[Mask]]:
    """Images by id, and masks in the order of the file, of a COCO instances JSON or its content.

    Raises:
        ValueError: it is of another form, an annotation belongs to no image, or a mask's size is
            not its image's. One such entry would change the scores of all.
    """
    name = source_name(source, "the ground truth")
    file = open_coco(source, SIZED_IMAGE, MASK, unnamed=name)
    if not isinstance(file.content, Mapping) or "images" not in file.content:
        mend = "give an object with 'images' and 'annotations'"
        raise refusal(name, "is not a COCO instances file", mend)
    refuse_unsound(file.findings)
    texts = any(isinstance(key, str) for key in file.images)
    images = {
        key: TrueImage(number, file.images[key].size, file.images[key].file_name)
        for number, key in enumerate(sorted(file.images, key=str if texts else None), 1)
    }
    masks = []
    for entry in file.masks:
        image = images[entry.image_id]
        rle, pixels = _rle(entry, image.size, name)
        area = pixels if entry.area is None else entry.area
        masks.append(Mask(image.number, rle, float(area), entry.iscrowd))
    return images, masks


def read_predictions(
    source: Source, images: Mapping[Key, TrueImage]
) -> tuple[list[Mask], ImageKey]:
    """Masks of a COCO results list, or of a COCO annotations JSON with or without scores.

    Images are found by id. A file that lists images of its own, whose ids stand for other file
    names than in the ground truth (as when a generator numbers a folder from 1), is read by file
    name without suffix; folders count where two images have one name.

    Returns:
        The masks in the order of the file, and what their images were found by.

    Raises:
        ValueError: it is of another form, an entry is not sound, an image is not in the ground
            truth, or a size is not its image's.
    """
    name = source_name(source, "the predictions")
    file = open_coco(source, LISTED_IMAGE, MASK, unnamed=name)
    refuse_unsound(file.findings)
    found, key = _find_images(file.images, images, name)
    masks = []
    for entry in file.masks:
        image = found.get(entry.image_id)
        if image is None:
            problem = f"{entry.name} is of image {shown(entry.image_id)}"
            mend = "leave it out, or give the ground truth that these images belong to"
            raise refusal(name, f"{problem}, which the ground truth does not list", mend)
        rle, area = _rle(entry, image.size, name)
        masks.append(Mask(image.number, rle, float(area), score=entry.score))
    return masks, key


def _find_images(
    listed: Mapping[Key, ListedImage], images: Mapping[Key, TrueImage], name: str
) -> tuple[Mapping[Key, TrueImage], ImageKey]:
    """The true image of every image id that the predictions may use."""
    own = {key: image.file_name for key, image in listed.items()}
    true = {key: image.file_name for key, image in images.items()}
    stems = Counter(PurePosixPath(path).stem for path in true.values() if path)
    if all(key in true and _may_be_one(own[key], true[key], stems) for key in own):
        return images, "id"
    if not all(own.values()) or not all(true.values()):
        problem = "lists images under other ids than the ground truth, and without file names"
        raise refusal(name, problem, "give them the ids of the ground truth")
    by_name = {one: images[key] for key, one in image_names(true, "the ground truth").items()}
    names = image_names(own, name)
    return {key: by_name[one] for key, one in names.items() if one in by_name}, "file name"


def _may_be_one(own: str | None, true: str | None, stems: Mapping[str, int]) -> bool:
    """Whether two files can be one: their stems agree, and where several images have this stem, the
    folders that both name; or one is not given.
    """
    if not own or not true:
        return True
    one, other = (PurePosixPath(path).with_suffix("").parts for path in (own, true))
    named = 1 if stems[other[-1]] < 2 else min(len(one), len(other))
    return one[-named:] == other[-named:]


def _rle(entry: Entry, size: Size, name: str) -> tuple[dict[str, Any], int]:
    """Polygons, counts in a list or compressed counts as compressed RLE, and its area in px."""
    runs = checked_runs(entry, size, name)
    counts = entry.segmentation["counts"] if entry.encoded else None
    if isinstance(counts, bytes):
        counts = counts.decode("ascii")
    text = counts if isinstance(counts, str) else compress_runs(runs, size)
    return {"size": list(size), "counts": text}, int(runs[1::2].sum())
