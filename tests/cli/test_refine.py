import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app

pytest.importorskip("pycocotools.mask")


def run(*arguments):
    return CliRunner().invoke(app, ["refine", *map(str, arguments)])


@pytest.fixture
def folders(tmp_path):
    """Two label maps of one square each, and a line of strength 0.98 through the middle of both."""
    masks, edges = tmp_path / "masks", tmp_path / "edges"
    masks.mkdir()
    edges.mkdir()
    square, line = np.zeros((2, 24, 24), dtype=np.uint8)
    square[2:22, 2:22] = 1
    line[:, 12] = 250
    for name in ("a", "b"):
        Image.fromarray(square).save(masks / f"{name}.png")
        Image.fromarray(line).save(edges / f"{name}.edges.png")
    return masks, edges


def test_masks_are_cut_where_the_edges_reach_the_threshold(folders, tmp_path):
    result = run(*folders, "--out", tmp_path / "low")
    assert result.exit_code == 0, result.output
    assert result.stdout.split("\n")[0] == "2 done, 0 failed; 2 masks became 4"
    result = run(*folders, "--out", tmp_path / "high", "--threshold", 0.99)
    assert "2 masks became 2" in result.stdout


def test_parts_are_split_on_demand_and_the_settings_say_so(folders, tmp_path):
    masks, edges = folders
    mask = np.zeros((24, 24), dtype=np.uint8)
    mask[2:22, 2:8] = mask[2:22, 16:22] = 1  # on both sides of the line
    for name in ("a", "b"):
        Image.fromarray(mask).save(masks / f"{name}.png")
    assert "2 masks became 2" in run(masks, edges, "--out", tmp_path / "one").stdout
    result = run(masks, edges, "--out", tmp_path / "split", "--split-parts")
    assert "2 masks became 4" in result.stdout
    for out, split in (("one", False), ("split", True)):
        record = json.loads((tmp_path / out / "settings.json").read_text(encoding="utf-8"))
        assert record["settings"].get("split_parts", False) == split


def test_gaps_are_closed_as_asked_for(folders, tmp_path):
    masks, edges = folders
    line = np.zeros((24, 24), dtype=np.uint8)
    line[:, 12] = 255
    line[10:13, 12] = 0
    for name in ("a", "b"):
        Image.fromarray(line).save(edges / f"{name}.edges.png")
    assert "became 4" in run(masks, edges, "--out", tmp_path / "out").stdout
    assert "became 2" in run(masks, edges, "--out", tmp_path / "out", "--close-gap", 0).stdout


def test_the_random_walk_is_kept_in_the_settings(folders, tmp_path):
    out = tmp_path / "out"
    result = run(*folders, "--out", out, "--method", "random-walk", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    record = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert record["settings"]["propagation"]["method"] == "random_walk"
    assert record["after"] == 4


def test_coco_goes_in_and_comes_out(folders, tmp_path):
    counts = [50, 20 * 24 - 4, 46 + 4]  # columns 2 ... 21, rows 2 ... 21 but for what runs between
    rle = {"size": [24, 24], "counts": counts}
    entries = [{"image_id": 1, "category_id": 1, "segmentation": rle, "score": 0.5}]
    (tmp_path / "results.json").write_text(json.dumps(entries), encoding="utf-8")
    images = [{"id": 1, "file_name": "a.jpg", "height": 24, "width": 24}]
    (tmp_path / "images.json").write_text(json.dumps({"images": images}), encoding="utf-8")
    out = tmp_path / "out.json"
    result = run(
        tmp_path / "results.json",
        folders[1],
        "--out",
        out,
        "--image-list",
        tmp_path / "images.json",
    )
    assert result.exit_code == 0, result.output
    assert [entry["score"] for entry in json.loads(out.read_text(encoding="utf-8"))] == [0.5, 0.5]


def test_a_bad_image_ends_in_one_line_and_the_rest_is_done(folders, tmp_path):
    (folders[1] / "b.edges.png").unlink()
    result = run(*folders, "--out", tmp_path / "out")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "no edge map of b" in line
    assert "1 done, 1 failed" in result.stdout
    assert (tmp_path / "out" / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", 0], "threshold must lie in (0, 1]"),
        (["--close-gap", -1], "--close-gap must lie in [0, 1000], not -1"),
    ],
)
def test_wrong_settings_end_in_one_line(folders, tmp_path, arguments, words):
    result = run(*folders, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("orientation", "said"), [(1, False), (3, True), (6, False)])
def test_edges_of_a_photograph_that_was_turned_in_its_size_are_said(orientation, said, tmp_path):
    """Masks on its stored pixels lie elsewhere, and nothing else tells; of 6 the size does."""
    exif = Image.Exif()
    exif[0x112] = orientation
    drawn = np.zeros((24, 24, 3), dtype=np.uint8)
    drawn[:, 12:] = 200
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(drawn).save(tmp_path / "photos" / "a.png", exif=exif)
    Image.fromarray((drawn[..., 0] > 0).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    command = ["detect", tmp_path / "photos", "--out", tmp_path / "edges"]
    assert CliRunner().invoke(app, list(map(str, command))).exit_code == 0
    result = run(tmp_path / "masks", tmp_path / "edges", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    note = f"1 of 1 images: its photograph was turned upright (orientation {orientation})"
    assert (note in result.output) == said


def test_maps_of_images_that_are_gone_or_fail_now_are_said(folders, tmp_path):
    masks, _ = folders
    assert run(*folders, "--out", tmp_path / "out").stderr == ""
    (masks / "b.png").unlink()
    result = run(*folders, "--out", tmp_path / "out")
    left = tmp_path / "out" / "b.png"
    assert result.exit_code == 0
    assert f"{left} is of an earlier refine, not of these" in " ".join(result.stderr.split())
    left.unlink()
    assert run(*folders, "--out", tmp_path / "out").stderr == ""
