"""Photographs of one name in several folders, from their edges to scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app

pytest.importorskip("pycocotools.mask")

FAST = ("--training-free", "--resolution", "64", "--subcell", "1", "--timestep", "0")
FAST = (*FAST, "--device", "cpu", "--quiet")
NAMES = ["day1/img", "day2/img", "top"]


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


def closed_square(shift):
    """A square that edges close, wherever it lies."""
    edges = np.zeros((64, 64), dtype=np.uint8)
    edges[10 + shift : 40 + shift, [10, 40]] = edges[[10 + shift, 40 + shift], 10:41] = 255
    return edges


@pytest.fixture(autouse=True)
def photographs(tmp_path, monkeypatch):
    """Three, of which two have one name; and edges of each, which differ."""
    monkeypatch.chdir(tmp_path)
    for shift, name in enumerate(NAMES):
        for folder in ("photographs", "edges"):
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (90 * shift, 0, 0)).save(f"photographs/{name}.png")
        Image.fromarray(closed_square(4 * shift)).save(f"edges/{name}.edges.png")


def test_our_own_files_meet():
    run("detect", "photographs", "--recursive", "--out", "detected", *FAST)
    for name in NAMES:
        files = {f"detected/{name}.{end}" for end in ("edges.png", "overlay.png", "json")}
        assert {str(path) for path in Path("detected").rglob(f"{name}.*")} == files
        assert json.loads(Path(f"detected/{name}.json").read_text(encoding="utf-8"))["edges"] == (
            f"{name}.edges.png"
        )
    options = ("--recursive", "--out", "out", "--quiet")
    run("segment", "photographs", "--edges", "detected", *options, "--strength", "0")
    run("segment", "photographs", "--edges", "edges", "--recursive", "--out", "s", "--quiet")
    own = Path("s/instances.json")
    images = json.loads(own.read_text(encoding="utf-8"))["images"]
    assert [image["file_name"] for image in images] == [f"{name}.png" for name in NAMES]
    run("evaluate", "masks", own, own, "--score", "constant", "--out", "scores.json")
    assert json.loads(Path("scores.json").read_text(encoding="utf-8"))["ap"] == pytest.approx(1)
    assert "3 done, 0 failed" in run("refine", own, "edges", "--out", "refined.json").stdout
    assert "3 done, 0 failed" in run("refine", "s", "edges", "--out", "refined").stdout
    assert all(Path(f"refined/{name}.png").is_file() for name in NAMES)
    options = ["--out", "e", "--workers", 1, "--thresholds", 3, "--json"]
    scores = json.loads(run("evaluate", "edges", "edges", own, *options).stdout)
    assert len(scores["images"]) == 3
    run("evaluate", "check", own, "--images", "photographs")
    run("panoptic", "refined", "edges", "--things", "1,2,3", "--out", "p", "--semantic-pngs")
    listed = json.loads(Path("p/panoptic.json").read_text(encoding="utf-8"))
    assert [one["file_name"] for one in listed["annotations"]] == [f"{name}.png" for name in NAMES]
    assert all(Path(f"p/panoptic/{name}.png").is_file() for name in NAMES)
    again = run("detect", "photographs", "--recursive", "--out", "detected", *FAST, "--json")
    assert [json.loads(line)["state"] for line in again.stdout.splitlines()] == ["skipped"] * 3


def test_our_own_files_meet_those_of_a_job():
    job = ("--training-free", "--resolution", "64", "--subcell", "1", "--timestep", "0")
    job = (*job, "--device", "cpu", "--quiet", "--workers", "0")
    run("annotate", "photographs", "job", "--task", "edges", *job)
    run("detect", "photographs", "--recursive", "--out", "detected", *FAST)
    for name in NAMES:
        assert Path(f"job/{name}.edges.png").is_file()
        assert Path(f"detected/{name}.edges.png").is_file()
    run("segment", "photographs", "--edges", "job", "--recursive", "--out", "s", "--quiet")


def test_edges_in_one_folder_are_not_those_of_two_images_of_one_name():
    Path("flat").mkdir()
    for shift, name in enumerate(("img", "top")):
        Image.fromarray(closed_square(shift)).save(f"flat/{name}.png")
    words = ("segment", "photographs", "--recursive", "--edges", "flat", "--out", "s", "--quiet")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all("flat holds no edge map of day" in line for line in lines)
    assert Path("s/top.json").is_file()
    # One image of a name is enough to know which is meant.
    run("segment", "photographs/day1", "--edges", "flat", "--out", "one", "--quiet")
    words = ("photographs/day1", "photographs/top.png", "--edges", "edges", "--out", "two")
    assert CliRunner().invoke(app, ["segment", *words]).exit_code == 1  # whose img is it?


@pytest.fixture
def truth():
    """Label maps of the three photographs: a square each, wherever its edges lie."""
    for shift, name in enumerate(NAMES):
        labels = np.zeros((64, 64), dtype=np.uint8)
        labels[10 + 4 * shift : 40 + 4 * shift, 10:41] = 1
        path = Path(f"truth/{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path)
    return "truth"


def test_ground_truth_photographs_and_peers_meet_by_their_paths(truth):
    options = ["--images", "photographs", "--peer", "sobel", "--thresholds", 3, "--workers", 1]
    options += ["--max-distance", 0.03]
    words = ["edges", truth, "--kind", "labels", *options, "--out", "e", "--json"]
    scores = json.loads(run("evaluate", "edges", *words).stdout)
    assert sorted(scores["images"]) == NAMES
    assert scores["methods"]["edges"]["ods"] > 0.9
    assert all(Path(f"e/peers/sobel/{name}.png").is_file() for name in NAMES)
    assert run("evaluate", "check", truth, "--images", "photographs", "--kind", "labels").stdout
    run("evaluate", "boundaries", truth, "--kind", "labels", "--out", "drawn")
    assert all(Path(f"drawn/{name}.png").is_file() for name in NAMES)


def test_panoptic_pngs_of_subfolders_alone_are_found(truth):
    Path("truth/top.png").unlink()
    run("panoptic", truth, "edges", "--things", "1", "--out", "p")
    pngs = sorted(path.relative_to("p/panoptic").as_posix() for path in Path("p").rglob("*.png"))
    assert pngs == ["day1/img.png", "day2/img.png"]
    run("evaluate", "check", "p/panoptic.json")
    words = ["edges", "p/panoptic.json", "--workers", 1, "--thresholds", 3, "--out", "e", "--json"]
    assert len(json.loads(run("evaluate", "edges", *words).stdout)["images"]) == 2
