import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from trace_edges.formats import check_ground_truth
from trace_edges.formats.checks import compared

HALVES = np.zeros((20, 30), dtype=np.uint8)
HALVES[:, 15:] = 1


def write(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def photograph(path, width=30, height=20, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, exif=exif)


def check(*arguments, **options):
    return [
        f"{finding.severity} {finding.subject.rpartition('/')[2]}: {finding.problem}"
        for finding in check_ground_truth(*arguments, **options)
    ]


def test_a_sound_folder_gives_no_finding_and_reports_progress(tmp_path):
    for name in "ab":
        write(tmp_path / f"gt/{name}.png", HALVES)
        photograph(tmp_path / f"images/{name}.jpg")
    seen = []
    found = check_ground_truth(
        tmp_path / "gt",
        images=tmp_path / "images",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found == []
    assert seen == [(1, 2), (2, 2)]


def test_sizes_and_names_are_compared_with_the_photographs(tmp_path):
    for name in "abcd":
        write(tmp_path / f"gt/{name}.png", HALVES)
    photograph(tmp_path / "images/a.jpg", width=60, height=40)
    photograph(tmp_path / "images/b.jpg", orientation=6)
    photograph(tmp_path / "images/c.jpg", width=20, height=30, orientation=6)
    photograph(tmp_path / "images/e.jpg")
    photograph(tmp_path / "images/f.jpg")
    findings = check_ground_truth(tmp_path / "gt", images=tmp_path / "images")
    assert [(f.severity, f.subject.rpartition("/")[2], f.problem) for f in findings] == [
        ("error", "d", f"has no photograph in {tmp_path / 'images'}"),
        ("warning", "images", "photographs without annotation: 2, e.jpg first"),
        ("error", "a.jpg", "is 60 x 40 px when upright, and its annotation 30 x 20 px"),
        ("error", "b.jpg", "is 20 x 30 px when upright, and its annotation 30 x 20 px"),
    ]
    assert "nearest neighbour" in findings[2].mend
    assert "EXIF" in findings[3].mend


def test_a_broken_file_is_a_finding_and_does_not_hide_the_next(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    write(tmp_path / "b.png", np.zeros((4, 6, 4), dtype=np.uint8))
    write(tmp_path / "c.png", HALVES)
    write(tmp_path / "c.tif", HALVES)
    found = check(tmp_path, "labels")
    assert found[0] == "error c.tif: c.png has the same stem, which is the name of an image"
    assert found[1].startswith("error a.png: is not a JPEG")
    assert found[2:] == ["error b.png: is an image of mode RGBA"]


def test_a_broken_photograph_is_a_finding(tmp_path):
    write(tmp_path / "gt/a.png", HALVES)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").write_bytes(b"no picture")
    (found,) = check(tmp_path / "gt", images=tmp_path / "images")
    assert found.startswith("error a.jpg: is not a JPEG")


def test_a_photograph_is_no_label_map(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    write(tmp_path / "a.png", noise)
    assert check(tmp_path, "labels")[0].endswith("segments, as a photograph would")


def test_panoptic_pngs_without_their_json(tmp_path):
    write(tmp_path / "val/a.png", np.zeros((4, 6, 3), dtype=np.uint8))
    (found,) = check(tmp_path / "val")
    assert found.startswith("warning val: there is no val.json beside it")
    (tmp_path / "val.json").write_text(json.dumps({"annotations": []}), encoding="utf-8")
    assert "warning val: PNGs that are not in val.json: 1, a.png first" in check(tmp_path / "val")


def test_drawn_maps(tmp_path):
    write(tmp_path / "a.png", np.zeros((4, 6), dtype=np.uint8))
    write(tmp_path / "b.png", np.full((4, 6), 200, dtype=np.uint8))
    write(tmp_path / "c.png", np.eye(4, 6, dtype=np.uint8) * 255)
    assert check(tmp_path, "boundaries") == [
        "warning a.png: has no boundary pixel, so every prediction in it is wrong",
        "error b.png: has the value 200, and a drawn edge map has 0, 127 (void), 255 (edge)",
    ]


def test_annotators_of_different_sizes(tmp_path):
    cells = np.empty((1, 2), dtype=object)
    for n, size in enumerate([(4, 6), (6, 4)]):
        cells[0, n] = {"Segmentation": np.ones(size), "Boundaries": np.ones(size)}
    savemat(tmp_path / "a.mat", {"groundTruth": cells})
    (found,) = check(tmp_path)
    assert found == "error a.mat: its annotators have maps of different sizes: [(4, 6), (6, 4)]"


def test_voc_needs_both_pictures_and_its_splits(tmp_path):
    for name in "abcd":
        write(tmp_path / f"SegmentationObject/{name}.png", HALVES)
    write(tmp_path / "SegmentationClass/a.png", HALVES * 15)
    write(tmp_path / "SegmentationClass/b.png", HALVES[:, :20])
    write(tmp_path / "SegmentationClass/c.png", HALVES * 255)
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("a\nx\ny\n", encoding="utf-8")
    assert check(tmp_path) == [
        "error val.txt: images named there without annotation: 2, x first",
        "error b.png: is 30 x 20 px, and that in SegmentationClass 20 x 20 px",
        "warning c.png: instances without a class in SegmentationClass: [1]",
        "warning d.png: has no image in SegmentationClass, so its classes are unknown",
    ]


def test_what_is_not_there_is_a_finding_and_a_wrong_call_an_error(tmp_path):
    assert check(tmp_path / "lost") == ["error lost: there is no such file or folder"]
    assert check(tmp_path)[0].endswith("holds no ground truth of a kind that is known")
    assert check(tmp_path, "voc")[0].endswith("holds no file of .png")
    with pytest.raises(ValueError, match="unknown kind 'coco'"):
        check_ground_truth(tmp_path, "coco")
    with pytest.raises(ValueError, match="is a folder without images"):
        check_ground_truth(tmp_path, images=tmp_path)


@pytest.mark.parametrize(("orientation", "size"), [(1, (4, 6)), (3, (4, 6)), (6, (6, 4))])
def test_a_photograph_is_measured_upright(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert compared(tmp_path / "a.jpg", size) == []
