"""`trace-edges export`, and --format of the commands that make masks."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.formats import export_coco
from trace_edges.formats.exchange import open_masks
from trace_edges.formats.registry import exchanged
from trace_edges.results import InstanceMasks


@pytest.fixture
def results(tmp_path):
    masks = np.zeros((2, 20, 30), dtype=bool)
    masks[0, 2:9, 3:9] = masks[1, 5:15, 12:20] = True
    export_coco({"cat": InstanceMasks(masks, [0.5, 0.75])}, tmp_path / "masks" / "instances.json")
    return tmp_path / "masks"


def run(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


@pytest.mark.parametrize("to", exchanged())
def test_results_are_written_and_counted(results, to, tmp_path):
    done = run(results, "--to", to, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "1 images, 2 masks:" in done.output
    again = run(results, "--to", to, "--out", tmp_path / "out")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("to", ["yolo", "png", "labelme", "coco-panoptic"])
def test_files_of_an_earlier_export_are_said(results, to, tmp_path):
    masks = np.zeros((1, 20, 30), dtype=bool)
    masks[0, 2:9, 3:9] = True
    others = {"cat": InstanceMasks(masks), "dog": InstanceMasks(masks)}
    export_coco(others, tmp_path / "two.json")
    out = tmp_path / "out"
    assert "earlier" not in run(tmp_path / "two.json", "--to", to, "--out", out).stderr
    assert "earlier" not in run(tmp_path / "two.json", "--to", to, "--out", out).stderr
    said = run(results, "--to", to, "--out", out)
    assert said.exit_code == 0
    (old,) = out.rglob("dog.*")
    assert f"{old} is of an earlier export, not of these results" in " ".join(said.stderr.split())


def test_an_export_beside_another_is_no_part_of_it(results, tmp_path):
    for name in ("train", "val"):
        said = run(results, "--to", "coco", "--out", tmp_path / f"{name}.json")
        assert (said.exit_code, said.stderr) == (0, "")


def test_what_a_format_does_not_hold_is_said_with_how_often(results, tmp_path):
    done = run(results, "--to", "yolo", "--out", tmp_path / "out")
    assert "yolo does not hold: 2 scores; 2 ids of masks; 1 ids of images" in done.output
    assert "does not hold" not in run(results, "--to", "coco", "--out", tmp_path / "c").output


def test_one_damaged_image_does_not_stop_the_rest(results, tmp_path):
    run(results, "--to", "labelme", "--out", tmp_path / "in")
    whole = json.loads((tmp_path / "in" / "cat.json").read_text(encoding="utf-8"))
    whole["shapes"][0]["points"] = [[0, 0], [1e30, 0], [0, float("1e30")]]
    (tmp_path / "in" / "bad.json").write_text(
        json.dumps(whole | {"imageHeight": -1}), encoding="utf-8"
    )
    (tmp_path / "in" / "cat.json").write_text(json.dumps(whole), encoding="utf-8")
    done = run(tmp_path / "in", "--to", "coco", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "bad.json: has an image of 30 x -1 px" in done.output
    assert "cat.json: shapes[0]: has a point that is no finite number or far out" in done.output
    (image,) = open_masks(tmp_path / "out").images
    assert len(image.masks) == 1


def test_masks_of_a_folder_that_is_read_are_not_written_into_it(results):
    done = run(results, "--to", "cvat", "--out", results / "cvat")
    assert done.exit_code == 1
    assert "which this command reads" in done.output


def test_a_path_that_is_nothing_known_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4")
    (tmp_path / "b.xml").write_text("<html/>", encoding="utf-8")
    for name, line in (("a.zip", "is an archive: unpack it first"),
                       ("b.xml", "is XML of <html>"), ("no", "no such file")):  # fmt: skip
        done = run(tmp_path / name, "--to", "coco", "--out", tmp_path / "out")
        assert done.exit_code == 1
        assert line in done.output
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".json"]


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_results_of_annotate_in_containers_are_a_source(form, tmp_path):
    """The masks are those that the same job writes as COCO JSON."""
    if form == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "photos" / "day1").mkdir(parents=True)
    for name in ("a.png", "day1/b.c.jpg"):
        Image.effect_noise((48, 32), 80).convert("RGB").save(tmp_path / "photos" / name)
    found = {}
    for to in ("coco", form):
        words = ["annotate", tmp_path / "photos", tmp_path / to, "--task", "instances", "--to", to,
                 "--quality", "fast", "--resolution", "64", "--device", "cpu",
                 "--workers", "0"]  # fmt: skip
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 0, done.output
        done = run(tmp_path / to, "--to", "cvat", "--out", tmp_path / f"{to}-cvat", "--images",
                   tmp_path / "photos")  # fmt: skip
        assert done.exit_code == 0, done.output
        found[to] = {image.name: image for image in open_masks(tmp_path / f"{to}-cvat").images}
    assert found[form].keys() == {"a", "day1/b.c"}
    for name, image in found["coco"].items():
        assert len(image.masks) > 0
        np.testing.assert_array_equal(found[form][name].masks.masks, image.masks.masks)
        np.testing.assert_array_equal(found[form][name].masks.scores, image.masks.scores)


@pytest.mark.parametrize("form", ["tar", "parquet"])
def test_panoptic_results_in_containers_name_their_classes(form, tmp_path):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    for folder in ("photos", "maps"):
        (tmp_path / folder).mkdir()
    Image.effect_noise((48, 32), 80).convert("RGB").save(tmp_path / "photos" / "a.png")
    numbers = np.full((32, 48), 2, dtype=np.uint8)
    numbers[4:20, 4:30] = 1
    Image.fromarray(numbers).save(tmp_path / "maps" / "a.png")
    classes = [{"id": 1, "name": "cup", "isthing": 1}, {"id": 2, "name": "table", "isthing": 0}]
    (tmp_path / "classes.json").write_text(json.dumps({"categories": classes}), encoding="utf-8")
    words = ["annotate", tmp_path / "photos", tmp_path / "out", "--task", "panoptic", "--to", form,
             "--semantic", tmp_path / "maps", "--categories", tmp_path / "classes.json",
             "--quality", "fast", "--resolution", "64", "--device", "cpu",
             "--workers", "0"]  # fmt: skip
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    (image,) = open_masks(tmp_path / "out").images
    kinds = {(one.category.id, one.category.name, one.category.thing) for one in image.marks}
    assert kinds == {(1, "cup", True), (2, "table", False)}


@pytest.mark.parametrize("to", ["coco", "fiftyone", "cvat"])
def test_polygons_are_written_where_they_are_exactly_the_mask(to, tmp_path):
    """A rectangle can be a polygon, a ring can not; both are read back as they were."""
    masks = np.zeros((2, 20, 30), dtype=bool)
    masks[0, 2:9, 3:9] = masks[1, 5:15, 12:20] = True
    masks[1, 8:11, 14:17] = False
    export_coco({"cat": InstanceMasks(masks)}, tmp_path / "masks.json")
    for polygons in ((), ("--polygons",)):
        out = tmp_path / f"{to}{len(polygons)}"
        done = run(tmp_path / "masks.json", "--to", to, "--out", out, *polygons)
        assert done.exit_code == 0, done.output
        (file,) = (path for path in out.iterdir() if path.suffix in (".json", ".xml"))
        text = file.read_text(encoding="utf-8")
        if to == "cvat":
            assert (text.count("<polygon"), text.count("<mask")) == (
                len(polygons),
                2 - len(polygons),
            )
        else:
            held = [one["segmentation"] for one in json.loads(text)["annotations"]]
            assert [isinstance(one, list) for one in held] == [bool(polygons), False]
        (image,) = open_masks(out).images
        found = sorted(image.masks.masks.tolist())
        assert found == sorted(masks.tolist())


def test_names_of_classes_can_be_given(results, tmp_path):
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfcoin\r\n")  # as Windows' editor saves it
    done = run(results, "--to", "cvat", "--out", tmp_path / "o", "--categories",
               tmp_path / "names.txt")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert 'label="coin"' in (tmp_path / "o" / "annotations.xml").read_text(encoding="utf-8")


def test_the_commands_that_make_masks_write_formats_beside_their_results(results, tmp_path):
    (tmp_path / "edges").mkdir()
    edges = np.zeros((20, 30), dtype=np.uint8)
    Image.fromarray(edges).save(tmp_path / "edges" / "cat.edges.png")
    words = ["refine", results / "instances.json", tmp_path / "edges", "--out",
             tmp_path / "refined.json", "--format", "cvat", "--format", "yolo"]  # fmt: skip
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    (image,) = open_masks(tmp_path / "refined-cvat").images
    assert len(image.masks) == 2
    assert (tmp_path / "refined-yolo" / "labels" / "cat.txt").is_file()


@pytest.mark.parametrize("to", exchanged())
def test_images_that_differ_in_their_suffix_only_stay_two_where_a_format_names_files(to, tmp_path):
    """Formats of one file for all images keep both, each with its own photograph: of another size.
    Where an image has a file called by its name without suffix there can be but one.
    """
    (tmp_path / "photos").mkdir()
    masks = {}
    for name, side in (("a.png", 20), ("a.jpg", 30), ("b.jpg", 40)):
        Image.new("RGB", (side, side)).save(tmp_path / "photos" / name)
        mask = np.zeros((1, side, side), dtype=bool)
        mask[0, 2:9, 3:9] = True
        masks[name] = InstanceMasks(mask, [0.5])
    export_coco(masks, tmp_path / "in.json")
    done = run(tmp_path / "in.json", "--to", to, "--out", tmp_path / "out",
               "--images", tmp_path / "photos")  # fmt: skip
    if to in ("yolo", "png", "labelme", "coco-panoptic"):
        assert done.exit_code == 1
        assert 'image "a' in done.output
        assert "another image of that name" in done.output
        return
    assert done.exit_code == 0, done.output
    there = {one.photograph: one.masks.shape for one in open_masks(tmp_path / "out").images}
    assert there == {"a.png": (20, 20), "a.jpg": (30, 30), "b.jpg": (40, 40)}
    if to == "coco":
        page = ["report", tmp_path / "out", "--images", tmp_path / "photos"]
        shown = CliRunner().invoke(app, [*map(str, page), "--out", str(tmp_path / "r" / "r.html")])
        assert "3 images, 0 failed" in shown.output
