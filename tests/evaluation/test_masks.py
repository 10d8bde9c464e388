import json
import random
from dataclasses import asdict

import numpy as np
import pytest

from trace_edges.evaluation import evaluate_masks
from trace_edges.extras import MissingExtraError
from trace_edges.metrics import masks as module

coder = pytest.importorskip("pycocotools.mask")
BACKENDS = {
    "pycocotools": "pycocotools",
    "faster-coco-eval": "faster_coco_eval",
    "hotcoco": "hotcoco",
}
SIZE = (30, 40)


def encode(mask):
    rle = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def box(top, left, height=10, width=10):
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return encode(mask)


def truth(*masks, images=(1,), crowds=()):
    """COCO instances: (image, RLE) pairs, or RLEs of image 1, of ever new categories."""
    pairs = [mask if isinstance(mask, tuple) else (1, mask) for mask in masks]
    return {
        "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in images],
        "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": 1 + number % 2,
                "segmentation": rle,
                "iscrowd": int(number in crowds),
                "bbox": [0, 0, 40, 30],
            }
            for number, (image, rle) in enumerate(pairs)
        ],
    }


def results(*scored, image=1, category=77):
    return [
        {"image_id": image, "category_id": category, "segmentation": rle, "score": score}
        for score, rle in scored
    ]


def random_case(seed, images=12, per_image=6):
    """Discs as truth, and the discs moved, with few distinct scores, as predictions."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    pairs, predictions = [], []
    for image in range(1, images + 1):
        for _ in range(per_image):
            centre, radius = rng.random(2) * SIZE, rng.uniform(2, 12)
            disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
            pairs.append((image, encode(disc)))
            moved = np.roll(disc, rng.integers(-3, 4, size=2), axis=(0, 1))
            score = round(float(rng.random()), 1)
            predictions += results((score, encode(moved)), image=image)
    crowds = set(rng.choice(len(pairs), 8, replace=False).tolist())
    return predictions, truth(*pairs, images=range(1, images + 1), crowds=crowds)


@pytest.fixture(params=BACKENDS)
def backend(request):
    pytest.importorskip(BACKENDS[request.param])
    return request.param


def test_the_truth_against_itself_scores_one(backend):
    # Annotation ids start at 0 here, which evaluators hold for "no match".
    everything = truth(box(0, 0), box(15, 20), (2, box(5, 5)), images=(1, 2, 3))
    scores = evaluate_masks(everything, everything, score="constant", backend=backend)
    assert (scores.ap, scores.ap50, scores.ap75, scores.ar100) == pytest.approx((1, 1, 1, 1))
    assert (scores.ap_small, scores.ap_medium, scores.ap_large) == (pytest.approx(1), None, None)
    assert (scores.images, scores.ground_truths, scores.predictions) == (3, 3, 3)
    assert scores.backend == backend


def test_hand_worked_precision_and_recall(backend):
    # By falling score: exact, wrong, and IoU 80 / 120 = 2/3 with the second truth.
    # IoU .50 to .65: right, wrong, right: precision 1 up to recall 1/2 (51 samples), then 2/3 (50).
    # IoU .70 to .95: precision 1 to recall 1/2, then 0.
    scores = evaluate_masks(
        results((0.9, box(0, 0)), (0.7, box(15, 22)), (0.8, box(15, 0))),
        truth(box(0, 0), box(15, 20)),
        backend=backend,
    )
    loose, strict = (51 + 50 * 2 / 3) / 101, 51 / 101
    assert scores.ap50 == pytest.approx(loose)
    assert scores.ap75 == pytest.approx(strict)
    assert scores.ap == pytest.approx(0.4 * loose + 0.6 * strict)
    assert scores.ar100 == pytest.approx(0.4 * 1 + 0.6 * 0.5)


def test_a_split_mask_counts_once_and_only_at_the_lowest_iou(backend):
    halves = results((0.9, box(0, 0, 10, 5)), (0.8, box(0, 5, 10, 5)))
    scores = evaluate_masks(halves, truth(box(0, 0)), backend=backend)
    assert (scores.ap50, scores.ap75) == pytest.approx((1, 0))
    assert (scores.ap, scores.ar100) == pytest.approx((0.1, 0.1))


def test_a_merged_mask_finds_one_of_two(backend):
    scores = evaluate_masks(
        results((0.9, box(0, 0, 10, 20))), truth(box(0, 0), box(0, 10)), backend=backend
    )
    assert (scores.ap50, scores.ap75) == pytest.approx((51 / 101, 0))
    assert scores.ar100 == pytest.approx(0.05)


def test_a_crowd_is_neither_to_be_found_nor_wrong_to_find(backend):
    inside = results((0.9, box(15, 0, 5, 5)), (0.9, box(15, 5, 5, 5)), (0.5, box(0, 0)))
    group = box(15, 0, 10, 20)
    scores = evaluate_masks(inside, truth(box(0, 0), group, crowds={1}), backend=backend)
    assert (scores.ap, scores.ar100) == pytest.approx((1, 1))
    assert (scores.ground_truths, scores.crowds) == (1, 1)
    # Were it an instance, two wrong masks would stand before the right one.
    as_instance = evaluate_masks(inside, truth(box(0, 0), group), backend=backend)
    assert as_instance.ap50 == pytest.approx(51 * (1 / 3) / 101)


def test_no_prediction_scores_nothing(backend):
    scores = evaluate_masks([], truth(box(0, 0)), backend=backend)
    assert (scores.ap, scores.ar100, scores.predictions) == (0, 0, 0)


@pytest.mark.parametrize("policy", ["given", "constant", "area"])
def test_backends_agree(backend, policy):
    case = random_case(0)
    expected = evaluate_masks(*case, score=policy, backend="pycocotools")
    scores = evaluate_masks(*case, score=policy, backend=backend)
    assert 0.1 < expected.ap < 0.9
    for field in ("ap", "ap50", "ap75", "ap_small", "ar100"):
        assert getattr(scores, field) == pytest.approx(getattr(expected, field), abs=1e-6)


@pytest.mark.parametrize("policy", ["given", "constant", "area"])
def test_the_order_of_the_file_does_not_matter(backend, policy):
    predictions, truths = random_case(1)
    expected = evaluate_masks(predictions, truths, score=policy, backend=backend)
    for seed in range(3):
        random.Random(seed).shuffle(predictions)
        assert evaluate_masks(predictions, truths, score=policy, backend=backend) == expected


@pytest.mark.parametrize("category", [0, 1, 2, 99])
def test_categories_do_not_matter(category):
    truths = truth(box(0, 0), box(15, 20))
    predictions = results((0.9, box(0, 0)), (0.8, box(15, 20)), category=category)
    assert evaluate_masks(predictions, truths).ap == pytest.approx(1)


def test_score_policies():
    # The right mask is small and on image 1; the wrong one is large, on image 2, and says 0.1.
    truths = truth((1, box(0, 0)), images=(1, 2))
    predictions = results((0.9, box(0, 0))) + results((0.1, box(0, 0, 20, 20)), image=2)
    ap = {p: evaluate_masks(predictions, truths, score=p).ap for p in ("given", "constant", "area")}
    assert ap == pytest.approx({"given": 1, "constant": 1, "area": 0.5})


def test_equal_scores_are_ranked_by_area():
    truths = truth(box(0, 0))
    right, larger, smaller = box(0, 0), box(12, 0, 10, 11), box(12, 0, 10, 9)
    for other, ap in ((larger, 0.5), (smaller, 1.0)):
        for order in ((right, other), (other, right)):
            predictions = results(*((0.5, rle) for rle in order))
            assert evaluate_masks(predictions, truths).ap == pytest.approx(ap)


def test_predictions_of_a_generator_that_swaps_sizes_and_numbers_images_anew():
    truths = truth((7, box(0, 0)), (9, box(15, 20)), images=(7, 9))
    names = {7: "val/cat.jpg", 9: "val/dog.jpg"}
    for image in truths["images"]:
        image["file_name"] = names[image["id"]]
    height, width = SIZE
    # Image 9 of the predictions is the cat.
    own = {9: ("cat.png", box(0, 0)), 2: ("dog.png", box(15, 20))}
    predictions = {
        "images": [
            {"id": id, "file_name": f"folder/{name}", "height": width, "width": height}
            for id, (name, _) in own.items()
        ],
        "annotations": [
            {"image_id": id, "category_id": 1, "segmentation": rle} for id, (_, rle) in own.items()
        ],
    }
    scores = evaluate_masks(predictions, truths, score="constant")
    assert (scores.ap, scores.images_by) == (pytest.approx(1), "file name")
    for image in truths["images"]:
        del image["file_name"]
    with pytest.raises(
        ValueError, match="under other ids than the ground truth, and without file names"
    ):
        evaluate_masks(predictions, truths, score="constant")


def test_every_form_of_a_mask_is_read():
    polygon = [[5, 0, 15, 0, 15, 10, 5, 10]]  # x 5 to 15, y 0 to 10
    counts = {"size": list(SIZE), "counts": [150, *[10, 20] * 9, 10, 770]}
    for form in (polygon, counts):
        truths = truth(form)
        scores = evaluate_masks(results((1, box(0, 5))), truths)
        assert scores.ap == pytest.approx(1)


def test_sizes_of_true_masks_are_the_files_own_areas_if_it_gives_them():
    truths = truth(box(0, 0))
    truths["annotations"][0]["area"] = 50_000
    scores = evaluate_masks(results((1, box(0, 0))), truths)
    assert (scores.ap_small, scores.ap_large) == (None, pytest.approx(1))


def test_masks_beyond_the_hundredth_of_an_image_are_counted():
    wrong = [(0.5, box(row, column, 2, 2)) for row in range(0, 28) for column in range(12, 36, 6)]
    predictions = results(*wrong[:100], (0.1, box(0, 0)))
    scores = evaluate_masks(predictions, truth(box(0, 0)))
    assert (scores.predictions, scores.beyond_limit, scores.ap) == (101, 1, 0)


def test_nothing_is_printed(backend, capfd):
    evaluate_masks(results((1, box(0, 0))), truth(box(0, 0)), backend=backend)
    assert capfd.readouterr() == ("", "")


def test_auto_takes_the_first_that_is_installed(monkeypatch):
    absent = {"hotcoco"}
    require = module.require

    def some(name, *rest):
        if name in absent:
            raise MissingExtraError(name)
        return require(name, *rest)

    monkeypatch.setattr(module, "require", some)
    pair = results((1, box(0, 0))), truth(box(0, 0))
    absent.add("faster_coco_eval")
    assert evaluate_masks(*pair).backend == "pycocotools"
    with pytest.raises(MissingExtraError):
        evaluate_masks(*pair, backend="hotcoco")


def test_files_give_the_scores_of_their_content(tmp_path):
    predictions, truths = random_case(2, images=3)
    paths = tmp_path / "results.json", tmp_path / "truth.json"
    for path, content in zip(paths, (predictions, truths), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    scores = evaluate_masks(*paths)
    assert scores == evaluate_masks(predictions, truths)
    assert json.loads(json.dumps(asdict(scores)))["ap"] == scores.ap


def test_missing_scores_are_refused_with_the_ways_out():
    predictions = results((0.9, box(0, 0)), (0.5, box(9, 9)))
    del predictions[1]["score"]
    with pytest.raises(ValueError, match=r"1 of 2 predictions have no score.*'constant' or 'area'"):
        evaluate_masks(predictions, truth(box(0, 0)))


def with_(**fields):
    return [{**results((0.5, box(0, 0)))[0], **fields}]


@pytest.mark.parametrize(
    ("predictions", "words"),
    [
        (with_(image_id=5), r"annotations.0. is of image 5, which the ground truth does not list"),
        (with_(segmentation={"size": [40, 30], "counts": "0"}), "width look swapped"),
        (with_(segmentation={"size": [20, 20], "counts": "0"}), r"\[20, 20\].*masks of the size"),
        (with_(segmentation={"size": [30, 40], "counts": [5, 5]}), "add up to 10 px, not 30 x 40"),
        (
            with_(segmentation={"size": [30, 40], "counts": "0"}),
            r"annotations.0.: its counts add up to 0 px",
        ),
        (with_(segmentation={"counts": "0"}), "lacks segmentation.size"),
        (with_(segmentation=[]), "segmentation is a list of 0, and should be one polygon"),
        (with_(segmentation=[[1, 2, 3, 4]]), "should be three points or more"),
        (with_(score=float("nan")), "should be a finite number"),
        (with_(score="high"), "should be a finite number"),
        ([{"image_id": 1, "bbox": [0, 0, 1, 1], "score": 1}], "has boxes and no masks"),
        ({"images": []}, "holds no masks"),
    ],
)
def test_bad_predictions(predictions, words):
    with pytest.raises(ValueError, match=words):
        evaluate_masks(predictions, truth(box(0, 0)))


def test_bad_ground_truth(tmp_path):
    with pytest.raises(ValueError, match="contains no mask apart from crowds"):
        evaluate_masks([], truth(box(0, 0), crowds={0}))
    with pytest.raises(ValueError, match="not a COCO instances file"):
        evaluate_masks([], results((1, box(0, 0))))
    with pytest.raises(ValueError, match="image 4, which is not listed; list it"):
        evaluate_masks([], truth((4, box(0, 0))))
    with pytest.raises(ValueError, match="one id to several images"):
        evaluate_masks([], truth(box(0, 0), images=(1, 1)))
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.json: is not valid JSON"):
        evaluate_masks([], broken)


@pytest.mark.parametrize("wrong", [{"score": "edge"}, {"backend": "mine"}])
def test_unknown_choices(wrong):
    with pytest.raises(ValueError, match="choose from"):
        evaluate_masks([], truth(box(0, 0)), **wrong)
