"""Every format into every other, with all that both can hold."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.coco_set import category_entries, coco_entries, numbered
from trace_edges.formats.exchange import export, open_masks
from trace_edges.formats.labelled import Labelled, Mark, Writing
from trace_edges.formats.registry import exchanged, get_exchange
from trace_edges.results import Category, InstanceMasks

CAR, SKY = Category(3, "car & <tram>", True), Category(7, 'sky "é"', True)
SHAPE = (20, 30)


def drawn(*boxes, without=()):
    mask = np.zeros(SHAPE, dtype=bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    for top, bottom, left, right in without:
        mask[top:bottom, left:right] = False
    return mask


@pytest.fixture
def labelled():
    """A ring, a crowd of two parts, an overlap, one pixel, in a folder; and an image of nothing."""
    masks = [
        drawn((2, 12, 3, 13), without=[(5, 8, 6, 10)]),
        drawn((0, 4, 20, 24), (10, 20, 22, 30)),
        drawn((9, 16, 9, 18)),
        drawn((18, 19, 1, 2)),
    ]
    scores = np.array([0.9, 0.25, 0.125, 1], dtype=np.float32)
    marks = (Mark(CAR, id=11), Mark(SKY, crowd=True, id=12), Mark(CAR, id=14), Mark(SKY, id=13))
    cat = Labelled("day 1/cat", InstanceMasks(np.stack(masks), scores), marks, "day 1/cat.png", 139)
    none = InstanceMasks(np.zeros((0, 10, 12), dtype=bool))
    return [cat, Labelled("blank", none, (), "blank.jpg", 7)]


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    (folder / "day 1").mkdir(parents=True)
    Image.new("RGB", SHAPE[::-1]).save(folder / "day 1" / "cat.png")
    Image.new("RGB", (12, 10)).save(folder / "blank.jpg")
    return folder


def written(labelled, name, folder):
    """The images in a format, without the counting of what is lost."""
    format = get_exchange(name)
    get_exchange(name).function("exports")(
        iter(kept(labelled, format.keeps)), Writing(folder, lambda: (CAR, SKY))
    )


def kept(labelled, keeps):
    """What a format can hold of the images."""
    for image in labelled:
        crowds = [mark.crowd for mark in image.marks]
        yield image if "crowds" in keeps else image.only([not crowd for crowd in crowds])


def taken(results, photographs=None):
    """The images of results by name; nothing is wrong with them."""
    found = list(open_masks(results, photographs=photographs or {}).images)
    assert all(isinstance(one, Labelled) for one in found), found
    return {one.name: one for one in found}


def on_top(image):
    """The masks as they are seen where the smaller lie on top."""
    return [image.masks.label_map == number for number in range(1, len(image.masks) + 1)]


def compare(found, given, keeps):
    """Each image has what formats with these powers hold."""
    flat = "overlaps" not in keeps
    assert found.keys() == {image.name for image in given}
    for image in kept(given, keeps):
        other = found[image.name]
        assert other.masks.shape == image.masks.shape
        masks = on_top(image) if flat else list(image.masks.masks)
        own = on_top(other) if flat else list(other.masks.masks)
        order = np.lexsort([[int(m.sum()) for m in masks]])
        theirs = np.lexsort([[int(m.sum()) for m in own]])
        assert len(own) == len(masks)
        for n, k in zip(order, theirs, strict=True):
            np.testing.assert_array_equal(own[k], masks[n])
            mark, mine = image.marks[n], other.marks[k]
            if "scores" in keeps:
                assert other.masks.scores[k] == image.masks.scores[n]
            if "names" in keeps:
                assert mine.category.name == mark.category.name
            if "crowds" in keeps:
                assert mine.crowd == mark.crowd
            if "category ids" in keeps:
                assert mine.category.id == mark.category.id
            if "mask ids" in keeps:
                assert mine.id == mark.id
        if "image ids" in keeps:
            assert other.id == image.id


def index(folder):
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.*")
    }


@pytest.mark.parametrize(("first", "second"), list(itertools.product(exchanged(), repeat=2)))
def test_into_a_format_and_on_to_another_keeps_what_both_hold(
    first, second, tmp_path, labelled, photographs
):
    written(labelled, first, tmp_path / "first")
    done = export(tmp_path / "first", second, tmp_path / "second", images=photographs)
    assert (done.images, done.findings) == (2, ())
    found = taken(tmp_path / "second", index(photographs))
    one, other = get_exchange(first), get_exchange(second)
    if first == "yolo" or second == "yolo":
        labelled = list(kept(labelled, ()))
    compare(found, labelled, one.keeps & other.keeps)


def test_a_photograph_of_another_size_is_said_and_its_masks_are_written(
    tmp_path, labelled, photographs
):
    written(labelled, "coco", tmp_path / "first")
    turned = Image.Exif()
    turned[0x112] = 6
    Image.new("RGB", (12, 10)).save(photographs / "blank.jpg", exif=turned)
    (photographs / "day 1" / "cat.png").write_bytes(b"no picture")
    done = export(tmp_path / "first", "labelme", tmp_path / "out", images=photographs)
    assert done.images == 2
    assert {finding.severity for finding in done.findings} == {"warning"}
    cat, blank = sorted(map(str, done.findings), key=lambda line: "blank" in line)
    assert "cat.png: is not a JPEG" in cat
    assert "blank.jpg: is 10 x 12 px when upright, and its annotation 12 x 10 px; turn" in blank


@pytest.mark.parametrize(
    ("ids", "words", "kept"),
    [
        ([1, 2], (), [1, 2]),
        ([1], ("has segments in its PNG that are not listed: 2",), [1]),
        ([1, 2, 1], ("segment 1: is listed twice",), [1, 2]),
        ([0, 1, 2], ("segment 0: is void (0), no segment",), [1, 2]),
        ([1, 2, 3], ("segment 3: has no pixel in the PNG",), [1, 2]),
    ],
)
def test_a_panoptic_map_and_its_list_say_the_same_or_it_is_said(ids, words, kept, tmp_path):
    pixels = np.zeros((6, 8, 3), dtype=np.uint8)
    pixels[:3, :4, 0], pixels[3:, 4:, 0] = 1, 2
    (tmp_path / "panoptic").mkdir()
    Image.fromarray(pixels).save(tmp_path / "panoptic" / "a.png")
    segments = [{"id": number, "category_id": 1, "iscrowd": 0} for number in ids]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": segments}],
        "categories": [{"id": 1, "name": "one", "isthing": 1}],
    }
    (tmp_path / "panoptic.json").write_text(json.dumps(content), encoding="utf-8")
    *findings, image = open_masks(tmp_path / "panoptic.json").images
    assert [mark.id for mark in image.marks] == kept
    assert len(findings) == len(words)
    assert all(word in str(one) for word, one in zip(words, findings, strict=True))


@pytest.mark.parametrize("turned", [90, 45.0, "90", -180])
def test_a_region_drawn_on_a_turned_image_is_left_out_with_a_word(turned, tmp_path):
    def region(rotation):
        points = {"points": [[10, 10], [60, 10], [60, 50]], "polygonlabels": ["cat"]}
        size = {"original_width": 30, "original_height": 20, "image_rotation": rotation}
        return {"id": f"r{rotation}", "type": "polygonlabels", "value": points, **size}

    result = [region(turned), region(0), region(None)]
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": result}]}
    (tmp_path / "it.json").write_text(json.dumps([task]), encoding="utf-8")
    finding, image = open_masks(tmp_path / "it.json").images
    assert f"region r{turned}: was drawn on the image turned by" in str(finding)
    assert len(image.masks) == 2


def test_records_of_a_job_have_the_names_of_their_classes(tmp_path):
    """Record as `segment --class-names` and `--ground mark` write them; without a list, object."""
    mask = InstanceMasks(np.eye(6, dtype=bool)[None])
    (entry,) = coco_entries(mask)
    for name, listed in (
        ("a", {"categories": category_entries(numbered(["cup", "ground"]))}),
        ("b", {}),
    ):
        record = {"height": 6, "width": 6, "annotations": [entry | {"category_id": 1}], **listed}
        (tmp_path / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    names = {
        one.name: [mark.category.name for mark in one.marks] for one in open_masks(tmp_path).images
    }
    assert names["a"] == ["cup"]


@pytest.mark.parametrize("to", ["coco", "cvat", "label-studio", "png"])
def test_what_cannot_be_read_leaves_no_empty_folder(to, tmp_path):
    damaged = tmp_path / "annotations.xml"
    damaged.write_text("<annotations><image", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    for out in (tmp_path / "out", tmp_path / "mine"):
        with pytest.raises(ValueError, match=r"annotations\.xml"):
            export(damaged, to, out)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["annotations.xml", "mine"]


def test_a_text_in_a_json_is_no_path(tmp_path):
    (tmp_path / "it.json").write_text(f'"{tmp_path / "other.json"}"', encoding="utf-8")
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"it\.json"):
        open_masks(tmp_path / "it.json")


def test_a_point_outside_of_yolos_image_is_cut_off_and_not_moved_to_its_border(tmp_path):
    (tmp_path / "it/labels").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (24, 24)).save(tmp_path / "photos/a.png")
    lines = "0 0.25 0.25 1 0.25 1 1 0.25 1\n0 2 2 3 2 3 3\n"  # three quarters; nothing at all
    (tmp_path / "it/labels/a.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "it/data.yaml").write_text("names: [one]", encoding="utf-8")
    found = export(tmp_path / "it", "png", tmp_path / "out", images=tmp_path / "photos")
    assert [one.problem for one in found.findings] == ["has no pixel in the image"]
    labels = np.asarray(Image.open(tmp_path / "out/a.png"))
    assert labels[6:, 6:].all()
    assert not labels[:6].any()
    assert not labels[:, :6].any()


POLYGON = {
    "type": "polygonlabels",
    "original_width": 30,
    "original_height": 20,
    "value": {"points": [[10, 10], [50, 10], [50, 60]], "polygonlabels": ["cat"]},
}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=all/photos/s/b%20c.png", "s/b c.png"),
        ("/data/upload/3/1234abcd-a.png", "a.png"),
        ("http://localhost/photos/s/b%20c.png?token=1", "s/b c.png"),
    ],
)
def test_tasks_of_label_studio_find_the_photographs_they_were_imported_from(
    tmp_path, address, name
):
    """With what is in the photograph's folder, and its size where every region was removed."""
    for file in ("a.png", "s/b c.png", "c.png"):  # c.png: another that ends like b c.png
        (tmp_path / "photos" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20)).save(tmp_path / "photos" / file)
    for regions in ([POLYGON], []):
        tasks = [{"id": 1, "data": {"image": address}, "annotations": [{"result": regions}]}]
        (tmp_path / "it.json").write_text(json.dumps(tasks), encoding="utf-8")
        done = export(tmp_path / "it.json", "coco", tmp_path / "out", images=tmp_path / "photos")
        assert (done.findings, done.without_photograph) == ((), 0)
        (image,) = open_masks(tmp_path / "out").images
        assert (image.photograph, len(image.masks)) == (name, len(regions))


@pytest.mark.parametrize("layout", ["{0}/train/", "train/{0}/", "{0}/", ""])
def test_labels_of_yolo_lie_beside_the_images_in_every_usual_way(tmp_path, layout):
    """As Ultralytics finds them: the last folder "images" of a path is "labels"."""
    for folder, file in (("images", "a.png"), ("labels", "a.txt")):
        (tmp_path / layout.format(folder)).mkdir(parents=True, exist_ok=True)
        path = tmp_path / layout.format(folder) / file
        if folder == "images":
            Image.new("RGB", (24, 24)).save(path)
        else:
            path.write_text("0 0.25 0.25 1 0.25 1 1 0.25 1\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("names: [one]", encoding="utf-8")
    (image,) = open_masks(tmp_path).images
    assert image.photograph == ("train/a.png" if "train" in layout else "a.png")
    assert (image.masks.shape, len(image.masks)) == ((24, 24), 1)


def test_of_two_files_in_a_folder_none_is_taken_for_both(labelled, tmp_path):
    for name in ("train", "val"):
        written(labelled, "coco", tmp_path / "both")
        (tmp_path / "both" / "instances.json").rename(tmp_path / "both" / f"{name}.json")
    with pytest.raises(ValueError, match=r"holds 2 JSON files, train.json and val.json among them"):
        export(tmp_path / "both", "png", tmp_path / "out")


def test_files_of_sam_and_lvis_are_read_as_such(tmp_path):
    (mask,) = coco_entries(InstanceMasks(drawn((2, 12, 3, 13))[None]))
    shape = {"height": SHAPE[0], "width": SHAPE[1]}
    sams = {"segmentation": mask["segmentation"], "predicted_iou": 0.5}
    known = {
        "sam": [sams],
        "sa_1": {"image": {"image_id": 1, "file_name": "sa_1.jpg", **shape}, "annotations": [sams]},
        "lvis": {
            "images": [{"id": 1, "coco_url": "http://a.org/val2017/lvis.jpg", **shape}],
            "annotations": [{"id": 1, "image_id": 1, "iscrowd": 0, **mask}],
            "categories": [{"id": 1, "name": "object"}],
        },
    }
    for name, content in known.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        (image,) = taken(tmp_path / f"{name}.json").values()
        assert image.name.rpartition("/")[2] == name
        assert np.array_equal(image.masks.masks[0], drawn((2, 12, 3, 13)))


@pytest.mark.parametrize("to", ["coco", "coco-panoptic", "cvat"])
def test_ids_that_a_format_cannot_hold_are_counted(to, labelled, tmp_path):
    """Text, and of COCO's masks 0, which its evaluation holds for no match."""
    written(labelled, "coco", tmp_path / "given")
    path = tmp_path / "given" / "instances.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["images"][0]["id"] = "a1"
    for place, one in enumerate(content["annotations"]):
        one["image_id"], one["id"] = "a1", place
    path.write_text(json.dumps(content), encoding="utf-8")
    lost = export(path, to, tmp_path / "out").lost
    assert lost["ids of images"] == 1
    assert lost["ids of masks"] == 4  # as 0 becomes 1, 1 becomes 2, and so on


@pytest.mark.parametrize(("to", "stuff"), [("coco-panoptic", 0), ("coco", 1), ("yolo", 1)])
def test_stuff_that_becomes_instances_is_counted(to, stuff, labelled, tmp_path):
    get_exchange("coco-panoptic").function("exports")(
        iter(labelled), Writing(tmp_path / "given", lambda: (CAR, SKY))
    )
    path = tmp_path / "given" / "panoptic.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["categories"][0]["isthing"] = 0
    cars = [one["category_id"] for one in content["annotations"][0]["segments_info"]].count(CAR.id)
    path.write_text(json.dumps(content), encoding="utf-8")
    lost = export(tmp_path / "given", to, tmp_path / "out").lost
    assert lost.get("masks of stuff, which become instances", 0) == stuff * cars
