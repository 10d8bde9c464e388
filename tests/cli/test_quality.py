"""`--quality`: how often and at which sizes a detector sees an image."""

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


def test_the_default_reads_the_image_alone_and_says_so(tmp_path):
    result = run("detect", COFFEE, "--out", tmp_path, "--resolution", 256)
    assert result.exit_code == 0, result.stderr
    record = json.loads((tmp_path / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["method"] == "one-step"
    assert record["settings"]["backbone"] is None
    detector = te.EdgeDetector.from_pretrained("trace-pixels")
    expected = detector(COFFEE, resolution=256).thin[0]
    assert np.abs(read_edge_map(tmp_path / "coffee.edges.png") / 255 - expected).max() <= 1 / 255


def test_the_embedded_one_finds_the_cup_and_not_the_wood():
    edges = te.EdgeDetector.from_pretrained()(COFFEE).thin[0]
    rim, wood = edges[20:300, 170:450], edges[330:, 480:]
    assert (rim > 0.5).sum() > 500
    assert (wood > 0.5).mean() < 0.2 * (rim > 0.5).mean()


def test_results_of_the_default_are_said_to_be_of_another_model(tmp_path):
    assert run("detect", COFFEE, "--out", tmp_path, "--resolution", 64).exit_code == 0
    other = ("--detector", "trace-mini")
    result = run("detect", COFFEE, "--out", tmp_path, "--resolution", 64, *other)
    assert "was made with no backbone instead of backbone trace-mini" in result.stderr
    assert "--overwrite makes it again" in result.stderr


def test_results_of_another_quality_are_said_to_be_such_in_both_directions(tmp_path):
    command = ("detect", COFFEE, "--out", tmp_path, "--resolution", 64)
    best = ("--quality", "best")
    assert run(*command).exit_code == 0
    assert "scales [1.0] instead of scales [0.75, 1.0, 1.375]" in run(*command, *best).stderr
    assert run(*command, *best, "--overwrite").exit_code == 0
    assert "was made with scales [0.75, 1.0, 1.375] instead of scales [1.0]" in run(*command).stderr
    assert run(*command, *best).stderr == ""


@pytest.mark.parametrize(
    ("quality", "other", "words"),
    [
        ("fast", ["--training-free"], "--quality fast is for detectors"),
        ("fast", ["--backbone", "sd15"], "--quality fast is for detectors"),
        ("best", ["--training-free"], "--quality best is for detectors"),
    ],
)
@pytest.mark.parametrize("verb", ["detect", "segment"])
def test_it_does_not_go_with_another_model(tmp_path, verb, quality, other, words):
    result = run(verb, COFFEE, "--out", tmp_path / "out", "--quality", quality, *other)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("quality", "detector", "scales", "mirror"),
    [
        ("fast", None, (0.75,), False),
        ("best", None, (0.75, 1.0, 1.375), True),
        ("best", "trace-mini", (0.75, 1.0, 1.375), True),
    ],
)
def test_it_says_how_a_detector_sees_every_image(tmp_path, quality, detector, scales, mirror):
    other = [] if detector is None else ["--detector", detector]
    result = run(
        "detect", COFFEE, "--out", tmp_path, "--quality", quality, "--resolution", 128, *other
    )
    assert result.exit_code == 0, result.stderr
    settings = json.loads((tmp_path / "coffee.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["scales"], settings["mirror"]) == (list(scales), mirror)
    views = DetectorSettings(128, scales, mirror)
    expected = te.EdgeDetector.from_pretrained(detector or "trace-pixels")(COFFEE, views).thin[0]
    assert np.abs(read_edge_map(tmp_path / "coffee.edges.png") / 255 - expected).max() <= 1 / 255


def test_segment_takes_it(tmp_path):
    result = run("segment", COFFEE, "--out", tmp_path, "--quality", "fast", "--resolution", 256)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "instances.json").exists()
    record = json.loads((tmp_path / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["strength"] == 0.08  # not that of a detector with a model
