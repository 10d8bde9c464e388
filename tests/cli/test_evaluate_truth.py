"""Checking ground truth and writing its boundaries, as it is typed."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app

runner = CliRunner()


@pytest.fixture
def labels(tmp_path, monkeypatch):
    """Two objects side by side, with a column of void in the second map."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "labels"
    folder.mkdir()
    maps = np.ones((2, 8, 12), dtype=np.uint8)
    maps[:, :, 6:] = 2
    maps[1, :, 9] = 255
    for name, one in zip("ab", maps, strict=True):
        Image.fromarray(one).save(folder / f"{name}.png")
    return folder


def run(*arguments):
    return runner.invoke(app, ["evaluate", *arguments])


def test_sound_ground_truth_has_no_errors(labels):
    result = run("check", "labels")
    assert result.exit_code == 0, result.output
    assert "0 errors" in result.output


def test_what_is_wrong_is_said_line_by_line(labels):
    (labels / "b.png").write_text("no picture", encoding="utf-8")
    result = run("check", "labels")
    assert result.exit_code == 1
    assert "b.png" in result.output
    assert "1 errors" in result.output
    finding = json.loads(run("check", "labels", "--json").output.splitlines()[0])
    assert finding["severity"] == "error"


def test_boundaries_are_written_and_score_like_the_labels(labels):
    pytest.importorskip("matplotlib")
    result = run("boundaries", "labels", "--out", "edges", "--void", "ignore")
    assert result.exit_code == 0, result.output
    first, second = (np.asarray(Image.open(f"edges/{name}.png")) for name in "ab")
    np.testing.assert_array_equal(first[4], [0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0])
    assert second[4, 9] == 127
    (labels.parent / "maps").mkdir()
    Image.fromarray(np.where(second == 255, second, 0)).save("maps/b.png")
    Image.fromarray(first).save("maps/a.png")
    for source in (["labels", "--void", "ignore"], ["edges", "--kind", "boundaries"]):
        result = run("edges", "maps", *source, "--json", "--workers", "1")
        assert json.loads(result.output)["methods"]["maps"]["ods"] == 1


def test_one_broken_file_does_not_stop_the_others(labels):
    (labels / "a.png").write_text("no picture", encoding="utf-8")
    result = run("boundaries", "labels", "--out", "edges", "--kind", "labels")
    assert result.exit_code == 1
    assert "a.png" in result.output
    assert [path.name for path in (labels.parent / "edges").glob("[!.]*")] == ["b.png"]


def test_voc_becomes_coco(tmp_path, monkeypatch):
    pytest.importorskip("pycocotools")
    monkeypatch.chdir(tmp_path)
    for folder in ("SegmentationObject", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    objects = np.zeros((8, 12), dtype=np.uint8)
    objects[2:5, 2:6], objects[2:5, 6:10] = 1, 2
    objects[5] = 255
    for folder, index in (("SegmentationObject", objects), ("SegmentationClass", objects * 0 + 7)):
        picture = Image.fromarray(index).convert("P")
        picture.putpalette([0] * 768)
        picture.putdata(index.ravel().tolist())
        picture.save(tmp_path / folder / "one.png")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("one\n", encoding="utf-8")
    result = run("voc-instances", ".", "--out", "voc.json")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "voc.json").read_text(encoding="utf-8"))
    assert [annotation["area"] for annotation in content["annotations"]] == [12, 12]
    assert "2 instances on 1 images" in result.output
