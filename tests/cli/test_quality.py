"""`--quality`: which of the two detectors of the package, and how often it looks."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import trace_edges as te
from trace_edges.cli import app
from trace_edges.detector import DetectorSettings
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
    ("quality", "other", "words"),
    [
        ("fast", ["--training-free"], "--quality fast is for detectors"),
        ("fast", ["--backbone", "sd15"], "--quality fast is for detectors"),
        ("best", ["--training-free"], "--quality best is for detectors"),
        ("fast", ["--detector", "trace-mini"], "--quality fast is a detector of its own"),
    ],
)
@pytest.mark.parametrize("verb", ["detect", "segment"])
def test_it_does_not_go_with_another_model(tmp_path, verb, quality, other, words):
    result = run(verb, COFFEE, "--out", tmp_path / "out", "--quality", quality, *other)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("detector", [None, "trace-mini"])
def test_best_sees_every_image_at_three_sizes_and_mirrored(tmp_path, detector):
    other = [] if detector is None else ["--detector", detector]
    result = run(
        "detect", COFFEE, "--out", tmp_path, "--quality", "best", "--resolution", 128, *other
    )
    assert result.exit_code == 0, result.stderr
    settings = json.loads((tmp_path / "coffee.json").read_text(encoding="utf-8"))["settings"]
    assert settings["scales"] == [0.75, 1.0, 1.375]
    assert settings["mirror"] is True
    views = DetectorSettings(128, (0.75, 1.0, 1.375), mirror=True)
    expected = te.EdgeDetector.from_pretrained(detector or "trace-mini-fast")(COFFEE, views).thin[0]
    assert np.abs(read_edge_map(tmp_path / "coffee.edges.png") / 255 - expected).max() <= 1 / 255


def test_segment_takes_it(tmp_path):
    result = run("segment", COFFEE, "--out", tmp_path, "--quality", "fast", "--resolution", 256)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "instances.json").exists()
    record = json.loads((tmp_path / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["strength"] == 0.08  # not that of a detector with a model
