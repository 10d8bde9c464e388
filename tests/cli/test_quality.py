"""`--quality`: which of the two detectors of the package."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import trace_edges as te
from trace_edges.cli import app
from trace_edges.formats.edge_maps import read_edge_map

COFFEE = Path(__file__).parents[2] / "examples" / "coffee.jpg"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_fast_edges_are_those_of_the_small_detector_and_say_so(tmp_path):
    result = run("detect", COFFEE, "--out", tmp_path, "--quality", "fast", "--resolution", 256)
    assert result.exit_code == 0, result.stderr
    record = json.loads((tmp_path / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["method"] == "one-step"
    assert record["settings"]["backbone"] is None
    detector = te.EdgeDetector.from_pretrained("trace-mini-fast")
    expected = detector(COFFEE, resolution=256).thin[0]
    assert np.abs(read_edge_map(tmp_path / "coffee.edges.png") / 255 - expected).max() <= 1 / 255


def test_the_embedded_one_finds_the_cup_and_not_the_wood():
    edges = te.EdgeDetector.from_pretrained("trace-mini-fast")(COFFEE).thin[0]
    rim, wood = edges[20:300, 170:450], edges[330:, 480:]
    assert (rim > 0.5).sum() > 500
    assert (wood > 0.5).mean() < 0.2 * (rim > 0.5).mean()


def test_results_of_the_default_are_said_to_be_of_another_model(tmp_path):
    assert run("detect", COFFEE, "--out", tmp_path, "--resolution", 64).exit_code == 0
    result = run("detect", COFFEE, "--out", tmp_path, "--resolution", 64, "--quality", "fast")
    assert "was made with backbone trace-mini" in result.stderr
    assert "--overwrite makes it again" in result.stderr


@pytest.mark.parametrize(
    "other", [["--training-free"], ["--detector", "trace-mini"], ["--backbone", "sd15"]]
)
@pytest.mark.parametrize("verb", ["detect", "segment"])
def test_it_does_not_go_with_another_model(tmp_path, verb, other):
    result = run(verb, COFFEE, "--out", tmp_path / "out", "--quality", "fast", *other)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "--quality fast is a detector of its own" in line
    assert not (tmp_path / "out").exists()


def test_segment_takes_it(tmp_path):
    result = run("segment", COFFEE, "--out", tmp_path, "--quality", "fast", "--resolution", 256)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "instances.json").exists()
