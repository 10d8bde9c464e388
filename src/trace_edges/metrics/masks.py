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

Size = tuple[int, int]  # height, width
ImageKey = Literal["id", "file name"]
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


@dataclass(frozen=True)
class Mask:
    """One mask, true or predicted.

    Attributes:
        image: number of its image.
        rle: `size` and compressed `counts` as text.
        area: in px; the file's own where a ground truth gives one, as COCO's evaluation has it.
        crowd: whether it stands for a group, which is neither to be found nor wrong to find.
        score: None where the file gives none.
    """

    image: int
    rle: dict[str, Any]
    area: float
    crowd: bool = False
    score: float | None = None


_SCORES: dict[ScorePolicy, Callable[[Mask], float | None]] = {
    "given": lambda mask: mask.score,
    "constant": lambda mask: 1.0,
    "area": lambda mask: mask.area,
}


@dataclass(frozen=True)
class MaskScores:
    """Scores in [0, 1] over a set of images, with the choices to be given beside them.

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


def score_masks(
    sizes: Sequence[Size],
    truths: Sequence[Mask],
    predictions: Sequence[Mask],
    *,
    score: ScorePolicy = "given",
    backend: Backend | Literal["auto"] = "auto",
    images_by: ImageKey = "id",
    name: str = "the predictions",
) -> MaskScores:
    """Class-agnostic AP and AR of masks; their order does not change a score.

    Masks of one score are ranked by falling area, then by their RLE.

    Args:
        sizes: (height, width) of image 1, 2, ...
        truths: with at least one that is no crowd.
        predictions: with scores, unless `score` replaces them.
        score: "given" takes the scores of the predictions; "constant" and "area" replace them.
        backend: the evaluator; "auto" takes the fastest that is installed.
        images_by: what images were found by, a record only.
        name: what messages call the predictions.

    Raises:
        ValueError: a choice is unknown, or scores are missing.
        MissingExtraError: the backend is not installed.
    """
    check_policy(score)
    evaluator = choose_backend(backend)
    ranked = _rank(predictions, score, name)
    listed = [
        {"id": number, "height": height, "width": width}
        for number, (height, width) in enumerate(sizes, 1)
    ]
    stats = _evaluate(evaluator, listed, truths, ranked)
    per_image = Counter(mask.image for mask in ranked)
    crowds = sum(truth.crowd for truth in truths)
    return MaskScores(
        ap=stats[0],
        ap50=stats[1],
        ap75=stats[2],
        ap_small=_or_none(stats[3]),
        ap_medium=_or_none(stats[4]),
        ap_large=_or_none(stats[5]),
        ar100=stats[8],
        images=len(sizes),
        ground_truths=len(truths) - crowds,
        crowds=crowds,
        predictions=len(predictions),
        beyond_limit=sum(max(0, count - MAX_DETECTIONS) for count in per_image.values()),
        score=score,
        images_by=images_by,
        backend=evaluator,
        backend_version=version(evaluator),
    )


def check_policy(score: str) -> None:
    """`ValueError` where there is no such score policy."""
    if score not in _SCORES:
        raise ValueError(f"unknown score {score!r}: choose from {', '.join(_SCORES)}")


def choose_backend(backend: Backend | Literal["auto"]) -> Backend:
    """The evaluator of that name, or the fastest that is installed; `ValueError` for another."""
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
    backend: Backend, sizes: list[dict[str, int]], truths: Sequence[Mask], ranked: Sequence[Mask]
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
