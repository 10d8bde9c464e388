"""Photographs of one name in several folders, from their edges to scores."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app

pytest.importorskip("pycocotools.mask")


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


def closed_square(shift):
    """A square that edges close, wherever it lies."""
    edges = np.zeros((64, 64), dtype=np.uint8)
    edges[10 + shift : 40 + shift, [10, 40]] = edges[[10 + shift, 40 + shift], 10:41] = 255
    return edges


@pytest.mark.parametrize("flat", [True, False])
def test_our_own_files_meet(tmp_path, flat):
    photographs, edges = tmp_path / "photographs", tmp_path / "edges"
    for shift, day in ((0, "day1"), (8, "day2")):
        (photographs / day).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(photographs / day / "img.png")
        # As `detect` calls them; or in folders as the photographs are.
        path = edges / (f"{day}_img.png.edges.png" if flat else f"{day}/img.edges.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(closed_square(shift)).save(path)
    out, flat_edges = tmp_path / "out", tmp_path / "flat"
    flat_edges.mkdir()
    for shift, day in ((0, "day1"), (8, "day2")):
        Image.fromarray(closed_square(shift)).save(flat_edges / f"{day}_img.png.edges.png")
    run("segment", photographs, "--recursive", "--edges", flat_edges, "--out", out, "--quiet")
    own = out / "instances.json"
    images = json.loads(own.read_text(encoding="utf-8"))["images"]
    assert [image["file_name"] for image in images] == ["day1/img.png", "day2/img.png"]
    run("evaluate", "masks", own, own, "--score", "constant", "--out", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))[
        "ap"
    ] == pytest.approx(1)
    refined = run("refine", own, edges, "--out", tmp_path / "refined.json")
    assert "2 done, 0 failed" in refined.stdout
    options = ["--out", tmp_path / "e", "--workers", 1, "--thresholds", 3, "--json"]
    scores = json.loads(run("evaluate", "edges", edges, own, *options).stdout)
    assert len(scores["images"]) == 2
    run("evaluate", "check", own, "--images", photographs)
