import json
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from trace_edges.formats import KINDS, open_ground_truth

LABELS = np.array([[0, 0, 1], [0, 2, 255]], dtype=np.uint8)
COLOURS = np.stack([LABELS, np.zeros_like(LABELS), np.zeros_like(LABELS)], axis=-1)
DRAWN = np.array([[0, 255, 0], [0, 255, 127]], dtype=np.uint8)


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)
    return path.parent


def panoptic_json(path, *, images=True):
    annotations = [
        {"image_id": 5, "file_name": "b.png", "segments_info": [{"id": 1, "category_id": 1}]},
        {
            "image_id": 3,
            "file_name": "a_gt.png",
            "segments_info": [
                {"id": 1, "category_id": 1, "iscrowd": 0},
                {"id": 2, "category_id": 1, "iscrowd": 1},
            ],
        },
    ]
    content = {"annotations": annotations}
    if images:
        content["images"] = [{"id": 3, "file_name": "deep/a.jpg"}, {"id": 5, "file_name": "b.jpg"}]
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def instances_json(path, **changes):
    content = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "height": 2, "width": 3},
            {"id": 2, "file_name": "b.jpg", "height": 2, "width": 3},
        ],
        "annotations": [
            {
                "id": 9,
                "image_id": 1,
                "category_id": 1,
                "segmentation": {"size": [2, 3], "counts": [0, 2, 4]},
            }
        ],
    }
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def image(number, name):
    return {"id": number, "file_name": name, "height": 2, "width": 3}


def read(truth, name):
    """The one annotator, by way of another process's eyes: the reader is pickled on the way."""
    (segments,) = pickle.loads(pickle.dumps(truth[name]))()
    return segments


@pytest.mark.parametrize("folder", ["panoptic_val", "panoptic"])
def test_a_panoptic_json_with_its_folder_beside_it(tmp_path, folder):
    for name in ("a_gt", "b"):
        write(tmp_path / folder / f"{name}.png", COLOURS)
    truth = open_ground_truth(panoptic_json(tmp_path / "panoptic_val.json"))
    assert truth.kind == "coco-panoptic"
    assert set(truth) == {"a", "b"}  # named after the images, not the PNGs
    np.testing.assert_array_equal(read(truth, "a").labels, LABELS)
    np.testing.assert_array_equal(read(truth, "a").void, np.isin(LABELS, (0, 2)))
    np.testing.assert_array_equal(read(truth, "b").void, LABELS == 0)


def test_a_panoptic_json_without_images_names_them_after_the_pngs(tmp_path):
    for name in ("a_gt", "b"):
        write(tmp_path / "panoptic" / f"{name}.png", COLOURS)
    truth = open_ground_truth(panoptic_json(tmp_path / "x.json", images=False))
    assert set(truth) == {"a_gt", "b"}


@pytest.mark.parametrize("place", ["beside", "inside", "nowhere"])
def test_a_panoptic_folder_finds_its_json(tmp_path, place):
    folder = write(tmp_path / "val" / "a_gt.png", COLOURS)
    write(folder / "b.png", COLOURS)
    if place != "nowhere":
        panoptic_json(tmp_path / "val.json" if place == "beside" else folder / "any.json")
    truth = open_ground_truth(folder)
    assert truth.kind == "coco-panoptic"
    if place == "nowhere":
        np.testing.assert_array_equal(read(truth, "a_gt").void, LABELS == 0)
    else:
        np.testing.assert_array_equal(read(truth, "a").void, np.isin(LABELS, (0, 2)))


def test_a_folder_may_stand_for_the_one_json_in_it(tmp_path):
    instances_json(tmp_path / "instances.json")
    assert open_ground_truth(tmp_path).kind == "coco-instances"


def test_instances_and_images_without_any(tmp_path):
    pytest.importorskip("pycocotools")
    truth = open_ground_truth(instances_json(tmp_path / "any.json"))
    assert truth.kind == "coco-instances"
    assert list(truth) == ["a", "b"]
    assert read(truth, "a").labels.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert not read(truth, "b").labels.any()


def test_voc_by_its_root_or_its_folder(tmp_path):
    folder = write(tmp_path / "SegmentationObject" / "a.png", LABELS)
    for source in (tmp_path, folder):
        truth = open_ground_truth(source)
        assert (truth.kind, list(truth)) == ("voc", ["a"])
        np.testing.assert_array_equal(read(truth, "a").void, LABELS == 255)


def test_bsds_has_annotators(tmp_path):
    cells = np.empty((1, 2), dtype=object)
    cells[0, :] = {"Segmentation": LABELS, "Boundaries": DRAWN == 255}
    savemat(tmp_path / "a.mat", {"groundTruth": cells})
    truth = open_ground_truth(tmp_path)
    assert truth.kind == "bsds"
    assert len(truth["a"]()) == 2


@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_label_maps_of_any_format(tmp_path, suffix):
    write(tmp_path / f"a.{suffix}", LABELS)
    truth = open_ground_truth(tmp_path)
    assert truth.kind == "labels"
    np.testing.assert_array_equal(read(truth, "a").labels, LABELS)


def test_what_may_be_drawn_or_labels_must_be_said(tmp_path):
    write(tmp_path / "a.png", DRAWN)
    with pytest.raises(ValueError, match=r"a\.png may be a drawn .*boundaries or labels"):
        open_ground_truth(tmp_path)
    assert read(open_ground_truth(tmp_path, "boundaries"), "a").boundaries.sum() == 2
    assert read(open_ground_truth(tmp_path, "labels"), "a").boundaries is None


def test_the_kind_decides_what_colours_mean(tmp_path):
    write(tmp_path / "a.png", COLOURS)
    assert read(open_ground_truth(tmp_path), "a").void.any()
    assert not read(open_ground_truth(tmp_path, "labels"), "a").void.any()


def test_what_is_not_recognised_names_the_kinds(tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "other.json").write_text('{"annotations": []}', encoding="utf-8")
    (tmp_path / "more.json").write_text("{}", encoding="utf-8")
    for source in (tmp_path, tmp_path / "other.json", tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match=", ".join(KINDS)) as caught:
            open_ground_truth(source)
        assert source.name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="unknown kind 'coco': choose from auto, coco-panoptic"):
        open_ground_truth(tmp_path, "coco")
    with pytest.raises(ValueError, match=r"lost: there is no such file or folder"):
        open_ground_truth(tmp_path / "lost")


@pytest.mark.parametrize("kind", ["voc", "bsds", "labels", "boundaries", "coco-panoptic"])
def test_an_empty_folder_is_refused(tmp_path, kind):
    with pytest.raises(ValueError, match=r"holds no file of .*; give the folder they are in"):
        open_ground_truth(tmp_path, kind)


def test_a_missing_png_is_refused(tmp_path):
    write(tmp_path / "panoptic" / "b.png", COLOURS)
    path = panoptic_json(tmp_path / "x.json")
    truth = open_ground_truth(path)
    assert (read(truth, "b").labels == LABELS).all()  # one image does not take the others along
    with pytest.raises(ValueError, match=r"a_gt\.png: there is no such file"):
        read(truth, "a")
    (tmp_path / "panoptic").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"x\.json: its PNGs are neither in x/ nor in panoptic/"):
        open_ground_truth(path)


def test_json_of_another_kind_or_of_nothing(tmp_path):
    path = instances_json(tmp_path / "x.json")
    with pytest.raises(ValueError, match="holds coco-instances annotations, not coco-panoptic"):
        open_ground_truth(path, "coco-panoptic")
    with pytest.raises(ValueError, match=r"x\.json: is a file; give a folder"):
        open_ground_truth(path, "labels")
    with pytest.raises(ValueError, match=r"x\.json: has no list 'images'"):
        open_ground_truth(instances_json(path, images=None))
    with pytest.raises(ValueError, match=r"x\.json: lists no image"):
        open_ground_truth(instances_json(path, images=[]))
    truth = open_ground_truth(
        instances_json(path, images=[{"id": 1, "file_name": "a.jpg"}, image(2, "b.jpg")])
    )
    assert not read(truth, "b").labels.any()
    with pytest.raises(ValueError, match=r"x\.json: images\[0\] \(id 1\) lacks height, width"):
        read(truth, "a")
    with pytest.raises(ValueError, match=r"x\.json: images\[0\] \(id 1\) lacks file_name, height"):
        open_ground_truth(instances_json(path, images=[{"id": 1}]))


def test_images_of_two_folders_with_one_name_are_called_by_their_paths(tmp_path):
    size = {"height": 2, "width": 3}
    images = [{"id": n, "file_name": f"day{n}\\a.jpg"} | size for n in (1, 2)]
    truth = open_ground_truth(instances_json(tmp_path / "x.json", images=images))
    assert list(truth) == ["day1/a", "day2/a"]


def test_two_images_of_one_name_are_refused(tmp_path):
    images = [image(1, "a.jpg"), image(2, "a.png")]
    truth = open_ground_truth(instances_json(tmp_path / "x.json", images=images))
    assert list(truth) == ["a.jpg", "a.png"]
    images = [image(n, "x/a.jpg") for n in (1, 2)]
    with pytest.raises(ValueError, match=r"x\.json: images 1 and 2 are both called x/a\.jpg"):
        open_ground_truth(instances_json(tmp_path / "x.json", images=images))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segmentation": []}, r"x\.json: annotations\[0\] \(id 9\): segmentation is a list of 0"),
        ({"segmentation": [[0, 0, 1e300, 0, 1, 1]]}, r"segmentation\[0\]\[2\] is 1e\+300"),
        ({"score": "high"}, "score is .high."),
    ],
)
def test_an_unsound_annotation_makes_its_image_unsound_and_no_other(tmp_path, changes, words):
    entry = {"id": 9, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 3, 0, 0, 2]]}
    truth = open_ground_truth(instances_json(tmp_path / "x.json", annotations=[entry | changes]))
    assert not read(truth, "b").labels.any()
    with pytest.raises(ValueError, match=words):
        read(truth, "a")
    for image in (None, [1], True):  # of which image it is, nobody knows
        path = instances_json(
            tmp_path / "x.json", annotations=[entry | changes | {"image_id": image}]
        )
        with pytest.raises(ValueError, match=r"annotations\[0\] \(id 9\): image_id is"):
            open_ground_truth(path)
