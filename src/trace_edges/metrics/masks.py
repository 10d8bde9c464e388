"""Mask quality without classes: COCO's average precision and recall.

Every mask is of one and the same category, on both sides. Evaluating without categories by a
switch of the evaluator (`useCats`) is not the same: predictions whose category the ground truth
does not know score 0 there without a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import StringIO
from typing import Any, Literal, get_args

from trace_edges.extras import MissingExtraError, require
from trace_edges.metrics.mask_files import (
    ImageKey,
    Mask,
    Source,
    read_ground_truth,
    read_predictions,
    source_name,
)

ScorePolicy = Literal["given", "constant", "area"]
Backend = Literal["hotcoco", "faster-coco-eval", "pycocotools"]

CATEGORY = 1
MAX_DETECTIONS = 100
# Package: modules of COCO and of the evaluator, its class. The fastest first; their numbers agree.
_BACKENDS = {
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster"),
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval"),
}
_SCORES: dict[ScorePolicy, Callable[[Mask], float | None]] = {
    "given": lambda mask: mask.score,
    "constant": lambda mask: 1.0,
    "area": lambda mask: mask.area,
}


@dataclass(frozen=True)
class MaskScores:
    """Scores in [0, 1] over a set of images, with what must be said beside them.

    Attributes:
        ap: mean over IoU 0.50, 0.55, ... 0.95 of the average precision.
        ap50, ap75: average precision at IoU 0.50 and 0.75.
        ap_small, ap_medium, ap_large: `ap` of masks up to 32 x 32 px, up to 96 x 96 px, and
            beyond; None where the ground truth has none.
        ar100: mean recall over the same IoUs with up to 100 masks per image.
        images, ground_truths, crowds, predictions: how many there were; `ground_truths` are the
            masks to be found, crowds aside.
        beyond_limit: predictions that did not count, as their images have more than 100.
        score: where scores come from: the file ("given"), all 1 ("constant"), or the area in px.
        images_by: what predictions were brought to their images by.
        backend, backend_version: the evaluator.
        iou_type, max_detections, categories: IoU of masks, 100 per image, one category.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar100: float
    images: int
    ground_truths: int
    crowds: int
    predictions: int
    beyond_limit: int
    score: ScorePolicy
    images_by: ImageKey
    backend: Backend
    backend_version: str
    iou_type: Literal["segm"] = "segm"
    max_detections: int = MAX_DETECTIONS
    categories: Literal["one"] = "one"


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
    if score not in _SCORES:
        raise ValueError(f"unknown score {score!r}: choose from {', '.join(_SCORES)}")
    evaluator = _choose(backend)
    images, truths = read_ground_truth(ground_truth)
    crowds = sum(truth.crowd for truth in truths)
    if crowds == len(truths):
        name = source_name(ground_truth, "the ground truth")
        raise ValueError(f"{name} has no mask to be found, crowds aside: check it")
    found, images_by = read_predictions(predictions, images)
    ranked = _rank(found, score, source_name(predictions, "the predictions"))
    sizes = [
        {"id": image.number, "height": image.size[0], "width": image.size[1]}
        for image in images.values()
    ]
    stats = _evaluate(evaluator, sizes, truths, ranked)
    per_image = Counter(mask.image for mask in ranked)
    return MaskScores(
        ap=stats[0],
        ap50=stats[1],
        ap75=stats[2],
        ap_small=_or_none(stats[3]),
        ap_medium=_or_none(stats[4]),
        ap_large=_or_none(stats[5]),
        ar100=stats[8],
        images=len(images),
        ground_truths=len(truths) - crowds,
        crowds=crowds,
        predictions=len(found),
        beyond_limit=sum(max(0, count - MAX_DETECTIONS) for count in per_image.values()),
        score=score,
        images_by=images_by,
        backend=evaluator,
        backend_version=version(evaluator),
    )


def _choose(backend: Backend | Literal["auto"]) -> Backend:
    if backend != "auto":
        if backend not in _BACKENDS:
            known = ", ".join(("auto", *_BACKENDS))
            raise ValueError(f"unknown backend {backend!r}: choose from {known}")
        return backend
    for name in get_args(Backend)[:-1]:
        try:
            require(_BACKENDS[name][1], "eval", name)
        except MissingExtraError:
            continue
        return name
    return "pycocotools"


def _rank(masks: Sequence[Mask], policy: ScorePolicy, name: str) -> list[Mask]:
    """Masks with their final scores, the best first; the order does not depend on the file's."""
    scores = [_SCORES[policy](mask) for mask in masks]
    if missing := sum(score is None for score in scores):
        raise ValueError(
            f"{name}: {missing} of {len(masks)} predictions have no score: score them by "
            "'constant' or 'area', or write scores into the file"
        )
    scored = (replace(mask, score=score) for mask, score in zip(masks, scores, strict=True))
    return sorted(scored, key=lambda m: (m.image, -(m.score or 0), -m.area, m.rle["counts"]))


def _evaluate(
    backend: Backend, sizes: list[dict], truths: Sequence[Mask], ranked: Sequence[Mask]
) -> list[float]:
    """The twelve numbers of COCO's summary."""
    coco_module, eval_module, evaluator_name = _BACKENDS[backend]
    new_index = require(coco_module, "eval", backend).COCO
    new_evaluator = getattr(require(eval_module, "eval", backend), evaluator_name)

    def indexed(masks: Sequence[Mask]) -> Any:
        index = new_index()
        index.dataset = {
            "info": {},
            "images": sizes,
            "categories": [{"id": CATEGORY, "name": "object"}],
            "annotations": [_annotation(id, mask) for id, mask in enumerate(masks, 1)],
        }
        index.createIndex()
        # The evaluator's own view: every mask is of the one category that there is.
        assert list(index.getCatIds()) == [CATEGORY], index.getCatIds()
        assert len(index.getAnnIds(catIds=[CATEGORY])) == len(masks)
        return index

    with redirect_stdout(StringIO()):  # they print what they do
        evaluator = new_evaluator(indexed(truths), indexed(ranked), "segm")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(number) for number in evaluator.stats[:12]]


def _annotation(id: int, mask: Mask) -> dict[str, Any]:
    # Ids start at 1: evaluators hold a prediction matched with id 0 for unmatched.
    entry = {
        "id": id,
        "image_id": mask.image,
        "category_id": CATEGORY,
        "segmentation": mask.rle,
        "area": mask.area,
        "iscrowd": int(mask.crowd),
    }
    return entry if mask.score is None else entry | {"score": mask.score}


def _or_none(stat: float) -> float | None:
    """Evaluators say -1 where there is nothing to find."""
    return None if stat < 0 else stat
