import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.evaluation.panoptic import evaluate_panoptic
from trace_edges.files import FileError
from trace_edges.formats.panoptic import export_panoptic
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.results import Category, PanopticMap, Segment

CATEGORIES = [Category(18, "dog", True), Category(1, "person", True), Category(90, "grass", False)]
PERSON, GRASS = 1, 90


def picture():
    """Two people, one of them numbered in all three bytes, on grass; the last column is void."""
    ids = np.full((4, 6), 3, dtype=np.int32)
    ids[1:3, 1] = 1
    ids[1:3, 3:5] = 70_000
    ids[:, 5] = 0
    segments = (
        Segment(1, PERSON, True, 0.9),
        Segment(70_000, PERSON, True),
        Segment(3, GRASS, False),
    )
    return PanopticMap(ids, segments)


def write(tmp_path, **more):
    export_panoptic({"street": picture()}, tmp_path / "panoptic.json", CATEGORIES, **more)
    return json.loads((tmp_path / "panoptic.json").read_text(encoding="utf-8"))


def test_colours_are_numbers_of_segments(tmp_path):
    write(tmp_path)
    with Image.open(tmp_path / "panoptic" / "street.png") as image:
        assert image.mode == "RGB"
        # 70000 = 112 + 256 * 17 + 65536 * 1
        assert [image.getpixel((column, 1)) for column in (0, 1, 3, 5)] == [
            (3, 0, 0), (1, 0, 0), (112, 17, 1), (0, 0, 0)
        ]  # fmt: skip
    np.testing.assert_array_equal(
        read_panoptic_ids(tmp_path / "panoptic" / "street.png"), picture().ids
    )


def test_the_json_says_what_the_segments_are(tmp_path):
    content = write(tmp_path, file_names={"street": "street.png"}, image_ids={"street": 7})
    assert content["images"] == [{"id": 7, "file_name": "street.png", "height": 4, "width": 6}]
    assert [(one["id"], one["isthing"]) for one in content["categories"]] == [
        (18, 1), (1, 1), (90, 0)
    ]  # fmt: skip
    (annotation,) = content["annotations"]
    assert (annotation["image_id"], annotation["file_name"]) == (7, "street.png")
    assert annotation["segments_info"] == [
        {"id": 1, "category_id": 1, "iscrowd": 0, "area": 2, "bbox": [1, 1, 1, 2], "score": 0.9},
        {"id": 70_000, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [3, 1, 2, 2],
         "score": 1.0},
        {"id": 3, "category_id": 90, "iscrowd": 0, "area": 14, "bbox": [0, 0, 5, 4], "score": 1.0},
    ]  # fmt: skip


def test_a_semantic_pixel_is_the_place_of_its_category(tmp_path):
    write(tmp_path, semantic_folder=tmp_path / "semantic")
    with Image.open(tmp_path / "semantic" / "street.png") as image:
        assert image.mode == "L"
        rows = np.asarray(image).tolist()
    assert rows == [
        [2, 2, 2, 2, 2, 255],
        [2, 1, 2, 1, 1, 255],
        [2, 1, 2, 1, 1, 255],
        [2, 2, 2, 2, 2, 255],
    ]


def test_evaluations_read_it_back_as_perfect(tmp_path):
    write(tmp_path)
    path = tmp_path / "panoptic.json"
    scores = evaluate_panoptic(path, path)
    assert (scores.all.pq, scores.all.classes) == (1, 2)
    hotcoco = pytest.importorskip("hotcoco.panoptic")
    result = hotcoco.pq_compute(str(path), str(path))
    assert result["All"]["pq"] == 1
    assert result["All"]["n"] == 2


def test_panopticapi_reads_the_numbers_of_segments(tmp_path):
    utils = pytest.importorskip("panopticapi.utils")
    write(tmp_path)
    with Image.open(tmp_path / "panoptic" / "street.png") as image:
        np.testing.assert_array_equal(utils.rgb2id(np.asarray(image)), picture().ids)


def test_panopticapi_scores_it_as_others_do(tmp_path):
    """Against itself, and against a copy with a smaller person, a lost one and more grass."""
    reference = pytest.importorskip("panopticapi.evaluation").pq_compute
    hotcoco = pytest.importorskip("hotcoco.panoptic").pq_compute
    write(tmp_path)
    path, other = tmp_path / "panoptic.json", tmp_path / "other.json"
    perfect = reference(str(path), str(path))
    assert [perfect[group]["pq"] for group in ("All", "Things", "Stuff")] == [1, 1, 1]
    assert perfect["All"]["n"] == 2
    whole = picture()
    ids = whole.ids.copy()
    ids[1, 1:3] = ids[2, 1] = ids[1, 3] = 3
    export_panoptic(
        {"street": PanopticMap(ids, whole.segments[1:])}, other, CATEGORIES, image_ids={"street": 1}
    )
    expected, same = reference(str(path), str(other)), hotcoco(str(path), str(other))
    ours = evaluate_panoptic(other, path)
    assert 0.2 < expected["All"]["pq"] < 0.9
    for group, mean in (("All", ours.all), ("Things", ours.things), ("Stuff", ours.stuff)):
        for number in ("pq", "sq", "rq"):
            assert expected[group][number] == pytest.approx(same[group][number], abs=1e-9)
            assert expected[group][number] == pytest.approx(getattr(mean, number), abs=1e-9)


def test_equal_maps_give_equal_bytes(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder, semantic_folder=tmp_path / folder / "semantic")
    first, second = (
        [path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.*"))] for folder in "ab"
    )
    assert first == second
    assert len(first) == 3


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (Segment(5, 2, True), "segment 5 is of category 2, which is not in the categories"),
        (Segment(5, GRASS, True), "segment 5 is a thing and its category grass is stuff"),
        (Segment(5, PERSON, False), "segment 5 is stuff and its category person is a thing"),
        (Segment(2**24, PERSON, True), "segment 16777216 must be a number from 1 to 16777215"),
    ],
)
def test_segments_must_fit_the_categories(tmp_path, segment, words):
    ids = np.full((2, 2), segment.id, dtype=np.int32)
    with pytest.raises(ValueError, match=f"image odd: {words}"):
        export_panoptic(
            {"odd": PanopticMap(ids, (segment,))}, tmp_path / "panoptic.json", CATEGORIES
        )
    assert not list(tmp_path.iterdir())


def test_categories_must_differ_and_fit_into_a_byte(tmp_path):
    path = tmp_path / "panoptic.json"
    with pytest.raises(ValueError, match="two categories have one id"):
        export_panoptic({}, path, [CATEGORIES[0]] * 2)
    many = [Category(n, str(n), True) for n in range(1, 257)]
    export_panoptic({}, path, many)
    export_panoptic({}, path, many[:255], semantic_folder=tmp_path / "semantic")
    with pytest.raises(ValueError, match="holds 255 categories, not 256"):
        export_panoptic({}, path, many, semantic_folder=tmp_path / "semantic")


def test_an_id_is_its_colour_to_the_base_of_256(tmp_path):
    colours = np.array([[[0, 0, 0], [1, 0, 0]], [[0, 1, 0], [3, 2, 1]]], dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "ids.png")
    assert read_panoptic_ids(tmp_path / "ids.png").tolist() == [[0, 1], [256, 3 + 512 + 65536]]


def test_the_largest_id_fits(tmp_path):
    Image.new("RGB", (1, 1), "white").save(tmp_path / "ids.png")
    assert read_panoptic_ids(tmp_path / "ids.png").tolist() == [[2**24 - 1]]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_a_panoptic_png_is_rgb(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "other.png")
    words = rf"other\.png is an image of mode {mode}: a panoptic PNG is RGB \(id = R"
    with pytest.raises(FileError, match=words):
        read_panoptic_ids(tmp_path / "other.png")
