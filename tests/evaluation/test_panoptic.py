import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.evaluation.panoptic import evaluate_panoptic
from trace_edges.metrics.panoptic import Panoptic, SegmentInfo
from trace_edges.results import Category

CAT, DOG, GRASS = 1, 2, 3
CATEGORIES = (
    Category(CAT, "cat", True),
    Category(DOG, "dog", True),
    Category(GRASS, "grass", False),
)


def columns(*segments):
    """An image 10 px high: segments of (category, width) from left, with the ids 10, 20, ..."""
    ids = np.repeat(10 * np.arange(1, len(segments) + 1), [width for _, width in segments])
    listed = [SegmentInfo(10 * place, one) for place, (one, _) in enumerate(segments, 1)]
    return Panoptic(np.tile(ids.astype(np.int32), (10, 1)), tuple(listed))


def write(path, images, categories=CATEGORIES):
    """A panoptic JSON, and its PNGs in the folder of its name."""
    path.with_suffix("").mkdir()
    annotations = []
    for number, image in enumerate(images, 1):
        ids, name = image.ids.astype(np.int64), f"{number:04}.png"
        colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1)
        Image.fromarray(colours.astype(np.uint8)).save(path.with_suffix("") / name)
        segments = [
            {
                "id": s.id,
                "category_id": s.category,
                "iscrowd": int(s.crowd),
                "area": int((ids == s.id).sum()),
                "bbox": [0, 0, 1, 1],
            }
            for s in image.segments
        ]
        annotations.append({"image_id": number, "file_name": name, "segments_info": segments})
    content = {
        "images": [{"id": a["image_id"], "file_name": a["file_name"]} for a in annotations],
        "annotations": annotations,
        "categories": [{"id": c.id, "name": c.name, "isthing": int(c.thing)} for c in categories],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def random_image(rng, crowd=False):
    """Blocks of random segments with void among them, and at most one crowd per class."""
    blocks = rng.integers(0, 9, (6, 8))
    ids = np.kron(blocks, np.ones((4, 5), dtype=np.int64)) * 1_900_000
    kinds = dict(zip(np.unique(ids), rng.integers(1, 4, 9).tolist(), strict=False))
    crowds = set()
    if crowd:
        for category in (CAT, DOG):
            crowds |= {next((i for i in kinds if i and kinds[i] == category), 0)}
    segments = [SegmentInfo(int(i), kinds[i], int(i) in crowds) for i in kinds if i]
    return Panoptic(ids, tuple(segments))


def disturbed(rng, image):
    """Most pixels as they were; a few blocks void, a few of another segment, one class changed."""
    ids = image.ids.copy()
    for _ in range(8):
        row, column = rng.integers(0, 20), rng.integers(0, 34)
        patch = ids[row : row + 5, column : column + 6]
        patch[:] = rng.choice(np.append(np.unique(ids), 0))
    left = set(np.unique(ids).tolist())
    segments = [SegmentInfo(s.id, s.category) for s in image.segments if s.id in left]
    if rng.random() < 0.5 and segments:
        segments[0] = SegmentInfo(segments[0].id, GRASS)
    return Panoptic(ids, tuple(segments))


@pytest.fixture
def random_files(tmp_path):
    rng = np.random.default_rng(0)
    truths = [random_image(rng, crowd=number % 2 == 0) for number in range(30)]
    predictions = [disturbed(rng, image) for image in truths]
    prediction = write(tmp_path / "prediction.json", predictions)
    return prediction, write(tmp_path / "truth.json", truths)


def test_files_against_themselves_score_one(random_files):
    _, truth = random_files
    scores = evaluate_panoptic(truth, truth)
    assert (scores.all.pq, scores.things.pq, scores.stuff.pq) == (1, 1, 1)


@pytest.mark.parametrize("library", ["hotcoco.panoptic", "panopticapi.evaluation"])
def test_an_independent_implementation_agrees(random_files, capfd, library):
    reference = pytest.importorskip(library).pq_compute
    prediction, truth = random_files
    expected = reference(str(truth), str(prediction))
    scores = evaluate_panoptic(prediction, truth)
    assert 0.2 < scores.all.pq < 0.9
    for group, mean in (("All", scores.all), ("Things", scores.things), ("Stuff", scores.stuff)):
        for number in ("pq", "sq", "rq"):
            assert getattr(mean, number) == pytest.approx(expected[group][number], abs=1e-9)
        assert mean.classes == expected[group]["n"]


def test_workers_change_nothing_and_progress_counts_images(random_files):
    done = []
    expected = evaluate_panoptic(*random_files, progress=lambda *count: done.append(count))
    assert done == [(number, 30) for number in range(1, 31)]
    assert evaluate_panoptic(*random_files, workers=2) == expected


def test_folders_can_be_named(random_files, tmp_path):
    prediction, truth = random_files
    expected = evaluate_panoptic(prediction, truth)
    for path in (prediction, truth):
        path.with_suffix("").rename(tmp_path / f"{path.stem} pictures")
    with pytest.raises(ValueError, match=r"there is no such folder with the PNGs of .*truth\.json"):
        evaluate_panoptic(prediction, truth)
    folders = tmp_path / "prediction pictures", tmp_path / "truth pictures"
    assert evaluate_panoptic(prediction, truth, *folders) == expected


def edited(path, edit):
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c["annotations"].pop(), r"prediction\.json lacks image 2 \(1 in all\)"),
        (lambda c: c["annotations"][0].update(image_id=9), r"lacks image 1"),
        (lambda c: c["annotations"].append({**c["annotations"][0], "image_id": 9}), "image 9, whi"),
        (lambda c: c["annotations"].append(c["annotations"][0]), "lists image 1 twice"),
        (lambda c: c["annotations"][0].pop("segments_info"), r"annotations.0. lacks segments_info"),
        (lambda c: c["annotations"][0]["segments_info"].pop(), r"0001\.png: segment 20 is in the"),
        (lambda c: c.pop("annotations"), "not a COCO panoptic file"),
        (
            lambda c: c["annotations"][1]["segments_info"][0].update(category_id=5),
            r"0002\.png \(image 2\): segment 10 is of category 5",
        ),
    ],
)
def test_bad_predictions_are_named(tmp_path, edit, words):
    image = columns((CAT, 4), (GRASS, 4))
    prediction, truth = (
        write(tmp_path / f"{n}.json", [image] * 2) for n in ("prediction", "truth")
    )
    edited(prediction, edit)
    with pytest.raises(ValueError, match=words):
        evaluate_panoptic(prediction, truth)


def test_bad_pictures_and_categories_are_named(tmp_path):
    truth = write(tmp_path / "truth.json", [columns((CAT, 4))])
    picture = tmp_path / "truth" / "0001.png"
    Image.new("L", (4, 10)).save(picture)
    with pytest.raises(ValueError, match=r"0001\.png is an image of mode L"):
        evaluate_panoptic(truth, truth)
    picture.write_text("no picture", encoding="utf-8")
    with pytest.raises(ValueError, match=r"0001\.png is not a JPEG, PNG"):
        evaluate_panoptic(truth, truth)
    picture.unlink()
    with pytest.raises(FileNotFoundError, match=r"0001\.png"):
        evaluate_panoptic(truth, truth)
    edited(truth, lambda content: content["categories"][0].pop("isthing"))
    with pytest.raises(ValueError, match=r"categories.0. .id 1. lacks isthing"):
        evaluate_panoptic(truth, truth)
    with pytest.raises(ValueError, match="workers must be 1 or more"):
        evaluate_panoptic(truth, truth, workers=0)
