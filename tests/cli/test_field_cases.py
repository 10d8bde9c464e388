"""COCO files as other tools and hands leave them: what `refine` makes of each, pixel by pixel.

Three images of 80 x 120 px, and in the first one mask of 80 x 50 px, which a line divides. Where
everything is understood, two masks of 4,000 px in all come out, of the category they had. What is
not understood is one line that names the entry and the key, and the rest is done.
"""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.corpus.jsons import MISSING, changed
from trace_edges.cli import app

mask = pytest.importorskip("pycocotools.mask")

POLYGON = [10, 10, 90, 10, 90, 60, 10, 60]
DRAWN = np.zeros((80, 120), dtype=bool)
DRAWN[10:60, 10:90] = True
PIXELS = DRAWN.sum()
RLE = {"size": [80, 120], "counts": [810, *[50, 30] * 79, 50, 2420]}  # by columns
OTHER = 500
PAIRS = [[10, 10], [90, 10], [90, 60], [10, 60]]


def annotation(number=1, image=1, **entries):
    return {"id": number, "image_id": image, "category_id": 1, "segmentation": [POLYGON],
            "bbox": [10, 10, 80, 50], "area": 4000, "iscrowd": 0} | entries  # fmt: skip


IMAGES = [
    {"id": number, "width": 120, "height": 80, "file_name": f"{name}.jpg"}
    for number, name in enumerate("abc", 1)
]
OK = {"images": IMAGES, "annotations": [annotation()], "categories": [{"id": 1, "name": "x"}]}
SAM = {key: value for key, value in annotation(segmentation=RLE).items()
       if key in ("id", "bbox", "area", "segmentation")}  # fmt: skip
SAM |= {"predicted_iou": 0.9, "stability_score": 0.97, "point_input": [[20, 20]],
        "crop_box": [0, 0, 120, 80]}  # fmt: skip


def with_mask(**entries):
    return OK | {"annotations": [annotation(**entries)]}


def before_a_sound_one(**entries):
    return OK | {"annotations": [annotation(**entries), annotation(2)]}


def image(**entries):
    return OK | {"images": [IMAGES[0] | entries, *IMAGES[1:]]}


def without(*place):
    return changed(OK, place, MISSING)


ALL_OF_IT = {1: PIXELS}
RIGHT = {  # content; pixels by category
    "ok": OK,
    "attributes that nobody knows": with_mask(track_id=7, attributes={"occluded": True}),
    "backslashes": image(file_name="images\\train\\a.jpg"),
    "backslashes and dots": image(file_name="..\\label\\a.jpg"),
    "category 1.0": with_mask(category_id=1.0),
    "no iscrowd": without("annotations", 0, "iscrowd"),
    "iscrowd null": with_mask(iscrowd=None),
    "no area": without("annotations", 0, "area"),
    "no bbox": without("annotations", 0, "bbox"),
    "bbox with fractions": with_mask(bbox=[10.25, 10.75, 79.5, 49.5]),
    "no categories": without("categories"),
    "info null": OK | {"info": None},
    "score null": with_mask(score=None),
    "ids of images as text beside numbers": with_mask(image_id="1"),
    "sizes as text": image(height="80", width="120"),
    "RLE as a list": with_mask(segmentation=RLE),
    "SA-1B": {"image": IMAGES[0] | {"image_id": 11}, "annotations": [SAM]},
    "SAM's automatic masks, of the image that the file is called after": [SAM],
}
CATEGORIES = {  # as it is in the annotation, as it must come out
    "as text": ("cell", "cell"), "a number as text": ("1", "1"), "0": (0, 0),
}  # fmt: skip
WRONG = {  # content, what one line names, pixels of what is sound
    "no annotations": (OK | {"annotations": None}, "has no list 'annotations', but null", None),
    "two images of one id": (
        OK | {"images": [IMAGES[0], IMAGES[1] | {"id": 1}, IMAGES[2]]},
        "gives one id to several images: 1", None,
    ),
    "category null": (before_a_sound_one(category_id=None), "category_id is null", PIXELS),
    "category a list": (before_a_sound_one(category_id=[1]), "category_id is a list", PIXELS),
    "image a list": (before_a_sound_one(image_id=[1]), "image_id is a list", PIXELS),
    "image null": (before_a_sound_one(image_id=None), "image_id is null", PIXELS),
    "score as text": (before_a_sound_one(score="0.9"), 'score is "0.9"', PIXELS),
    "score is a logit": (before_a_sound_one(score=3.2), "score is 3.2, and should lie in", PIXELS),
    "no polygon": (before_a_sound_one(segmentation=[]), "segmentation is a list of 0", PIXELS),
    "two points": (before_a_sound_one(segmentation=[[10, 10, 90, 60]]), "segmentation[0]", PIXELS),
    "two points beside a polygon": (
        before_a_sound_one(segmentation=[POLYGON, [100, 70, 101, 70]]), "segmentation[1]", PIXELS,
    ),
    "segmentation null": (before_a_sound_one(segmentation=None), "segmentation is null", PIXELS),
    "segmentation flat": (before_a_sound_one(segmentation=POLYGON), "segmentation[0] is", PIXELS),
    "segmentation in pairs": (before_a_sound_one(segmentation=[PAIRS]), "segmentation[0]", PIXELS),
    "numbers as text": (
        before_a_sound_one(segmentation=[[str(one) for one in POLYGON]]), "segmentation[0][0]",
        PIXELS,
    ),
    "a NaN": (
        before_a_sound_one(segmentation=[[10, 10, 90, float("nan"), 90, 60]]),
        "segmentation[0][3] is NaN", PIXELS,
    ),
    "far away": (
        before_a_sound_one(segmentation=[[-160.0, -220.0, 2.08e8, 3.5e8, 220, 230]]),
        "segmentation[0][2] is 208000000.0", PIXELS,
    ),
    "no segmentation": (
        changed(before_a_sound_one(), ("annotations", 0, "segmentation"), MISSING),
        "lacks segmentation", PIXELS,
    ),
    "size null elsewhere": (
        OK | {"images": [*IMAGES[:2], IMAGES[2] | {"height": None}]},
        "images[2] (id 3) lacks height", PIXELS,
    ),
    "size 0 elsewhere": (
        OK | {"images": [*IMAGES[:2], IMAGES[2] | {"height": 0}]},
        "images[2] (id 3): height is 0", PIXELS,
    ),
    "size null": (image(height=None), "images[0] (id 1) lacks height", 0),
    "name a number": (image(file_name=7), "images[0] (id 1): file_name is 7", 0),
}  # fmt: skip


@pytest.fixture
def refine(tmp_path, monkeypatch):
    """A function that refines a JSON called a.json; gives the result, and what was written."""
    monkeypatch.chdir(tmp_path)
    Path("edges").mkdir()
    line = np.zeros((80, 120), dtype=np.uint8)
    line[10:60, 50] = 255
    for name in "abc":
        Image.fromarray(line).save(f"edges/{name}.edges.png")

    def run(content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        Path("a.json").write_bytes(data)
        done = CliRunner().invoke(app, ["refine", "a.json", "edges", "--out", "out.json"])
        out = Path("out.json")
        return done, json.loads(out.read_bytes()) if out.exists() else None

    return run


def together(written, category=1):
    """The pixels of all masks of a category, which must not overlap; and how many there are."""
    entries = written if isinstance(written, list) else written["annotations"]
    drawn = [mask.decode(one["segmentation"]).astype(bool) for one in entries
             if one["category_id"] == category]  # fmt: skip
    total = np.sum(drawn, axis=0) if drawn else DRAWN * 0
    assert np.max(total) <= 1
    return total.astype(bool), len(entries)


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_unusual_and_right_is_read(refine, case):
    done, written = refine(RIGHT[case])
    assert (done.exit_code, done.stderr) == (0, "")
    drawn, count = together(written)
    np.testing.assert_array_equal(drawn, DRAWN)
    assert count == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_encodings_that_json_knows(refine, encoding):
    done, written = refine(json.dumps(OK).encode(encoding))
    assert done.exit_code == 0, done.stderr
    np.testing.assert_array_equal(together(written)[0], DRAWN)


@pytest.mark.parametrize("case", CATEGORIES)
def test_masks_and_categories_meet(refine, case):
    given, kept = CATEGORIES[case]
    done, written = refine(
        with_mask(category_id=given) | {"categories": [{"id": given, "name": "x"}]}
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert {one["id"] for one in written["categories"]} == {kept}
    np.testing.assert_array_equal(together(written, kept)[0], DRAWN)


def test_ids_as_text_meet(refine):
    images = [one | {"id": f"img_{one['id']}"} for one in IMAGES]
    done, written = refine(
        OK | {"images": images, "annotations": [annotation("ann_1", image="img_1")]}
    )
    assert (done.exit_code, done.stderr) == (0, "")
    np.testing.assert_array_equal(together(written)[0], DRAWN)
    assert {one["image_id"] for one in written["annotations"]} <= {
        one["id"] for one in written["images"]
    }


def test_a_crowd_stays_and_is_not_cut(refine):
    crowd = annotation(2, segmentation=RLE, iscrowd=1)
    done, written = refine(OK | {"annotations": [annotation(), crowd]})
    assert done.exit_code == 0, done.stderr
    kept = [one for one in written["annotations"] if one["iscrowd"]]
    assert [one["segmentation"] for one in kept] == [RLE]
    assert len(written["annotations"]) == 3


def test_ids_that_two_annotations_have_are_made_unique(refine):
    done, written = refine(OK | {"annotations": [annotation(), annotation(image=2)]})
    assert done.exit_code == 0, done.stderr
    assert sorted(one["id"] for one in written["annotations"]) == [1, 2, 3, 4]
    assert sorted(one["image_id"] for one in written["annotations"]) == [1, 1, 2, 2]


def test_one_swapped_size_turns_that_image_only(refine):
    swapped = [IMAGES[0] | {"width": 80, "height": 120}, *IMAGES[1:]]
    both = [annotation(segmentation=RLE), annotation(2, image=2)]
    done, written = refine(OK | {"images": swapped, "annotations": both})
    assert (done.exit_code, done.stderr) == (0, "")
    assert [(one["height"], one["width"]) for one in written["images"]] == [(80, 120)] * 3
    assert len(written["annotations"]) == 4
    assert all(one["segmentation"]["size"] == [80, 120] for one in written["annotations"])


def test_polygons_end_at_the_image(refine):
    far = [-20, -20, 190, -20, 190, 60, -20, 60]
    done, written = refine(with_mask(segmentation=[far]))
    assert done.exit_code == 0, done.stderr
    drawn, _ = together(written)
    assert drawn[:60].all()
    assert not drawn[60:].any()


def test_an_image_of_no_mask_stays_listed(refine):
    done, written = refine(OK | {"annotations": []})
    assert (done.exit_code, done.stderr) == (0, "")
    assert (written["images"], written["annotations"]) == (IMAGES, [])


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_and_the_rest_is_done(refine, case):
    content, words, pixels = WRONG[case]
    done, written = refine(copy.deepcopy(content))
    assert done.exit_code == 1
    named = [line for line in done.stderr.splitlines() if words in line]
    assert len(named) == 1, done.stderr
    assert named[0].startswith("trace-edges: a.json: ")
    if pixels is None:
        assert written is None
        return
    drawn, count = together(written)
    assert (drawn.sum(), count) == (pixels, 2 if pixels else 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not valid JSON (Expecting value"),
        (
            json.dumps(OK).replace('"x"', '"\u7ec6\u80de"').encode("gbk"),
            "is not valid JSON ('utf-8' codec",
        ),
        (b'{"id": 1, "image_id": 1}\n{"id": 2, "image_id": 1}\n', "is not JSON but JSON Lines"),
        (without("images"), "is a polygon and its image is not listed"),
    ],
)
def test_files_that_tell_nothing_leave_nothing(refine, content, words):
    done, written = refine(content)
    assert (done.exit_code, written) == (1, None)
    assert words in done.stderr


def test_subfolders_are_not_taken_for_images_of_one_name(refine):
    """Two images called a: the one map called a is of neither."""
    images = [one | {"file_name": name} for one, name in
              zip(IMAGES, ("day1/a.jpg", "day2/a.jpg", "c.jpg"), strict=True)]  # fmt: skip
    done, written = refine(
        OK | {"images": images, "annotations": [annotation(), annotation(2, image=3)]}
    )
    assert done.exit_code == 1
    assert [line.partition("edges holds no edge map of ")[2][:6] for line in
            done.stderr.splitlines()] == ["day1/a", "day2/a"]  # fmt: skip
    np.testing.assert_array_equal(together(written)[0], DRAWN)


def test_an_address_is_no_name_of_a_map(refine):
    done, _ = refine(image(file_name="/data/upload/3/1b2c-a.jpg?d=x"))
    assert done.exit_code == 1
    assert "edges holds no edge map of 1b2c-a" in done.stderr
