"""`evaluate edges` says what strengths are worth, and `detect --calibration` writes that."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.results import Calibration

pytest.importorskip("matplotlib")

FAST = ("--resolution", "64", "--device", "cpu")


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(autouse=True)
def measured(photos, tmp_path, monkeypatch):
    """Two photographs with label maps, and the calibration of the default detector on them."""
    monkeypatch.chdir(tmp_path)
    Path("labels").mkdir()
    for path in photos.iterdir():
        with Image.open(path) as image:
            labels = (np.asarray(image.convert("L")) > 110).astype(np.uint8)
        Image.fromarray(labels).save(f"labels/{path.stem}.png")
    assert run("detect", "photos", "--out", "plain", *FAST).exit_code == 0
    scored = run("evaluate", "edges", "plain", "labels", "--out", "scores", "--workers", 1)
    assert scored.exit_code == 0, scored.output
    return Path("scores/calibration/plain.json")


def edges(folder):
    with Image.open(f"{folder}/coffee.edges.png") as image:
        return np.asarray(image)


def settings(folder):
    return json.loads(Path(folder, "coffee.json").read_text(encoding="utf-8"))["settings"]


def detect(out, *words):
    return run("detect", "photos", "--out", out, *FAST, *words)


def test_strengths_become_the_share_that_was_true(measured):
    result = detect("calibrated", "--calibration", measured)
    assert result.exit_code == 0, result.output
    calibration = Calibration.load(measured)
    expected = calibration(edges("plain") / np.float32(255)) * 255
    # Strengths of `plain` were rounded to a level, which is up to a few levels of precision.
    assert np.abs(edges("calibrated") - expected).max() < 4
    assert settings("calibrated") == settings("plain") | {"calibration": calibration.digest}


def test_the_smooth_map_has_the_same_strengths_on_its_lines(measured):
    detect("calibrated", "--calibration", measured)
    detect("soft", "--calibration", measured, "--soft")
    line = edges("calibrated") > 0
    assert np.array_equal(edges("calibrated")[line], edges("soft")[line])


def test_annotate_writes_the_same_edges(measured):
    words = ("--task", "edges", *FAST, "--calibration", measured)
    result = run("annotate", "photos", "set", *words)
    assert result.exit_code == 0, result.output
    detect("calibrated", "--calibration", measured)
    with Image.open(next(Path("set").rglob("coffee*.edges.png"))) as image:
        assert np.array_equal(np.asarray(image), edges("calibrated"))
    other = run("annotate", "photos", "set", "--task", "edges", *FAST)
    assert other.exit_code != 0
    assert "calibration" in other.stderr


def test_edges_without_it_are_not_taken_for_those_with_it(measured):
    result = detect("plain", "--calibration", measured)
    assert (result.exit_code, "0 done, 2 skipped" in result.stdout) == (0, True)
    digest = Calibration.load(measured).digest
    assert f"was made with no calibration instead of calibration {digest}" in result.stderr
    detect("calibrated", "--calibration", measured)
    back = detect("calibrated")
    assert f"was made with calibration {digest} instead of no calibration" in back.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--resolution", "96"), "measured on edges with resolution 64, and these have 96"),
        (("--quality", "best"), "measured on edges with"),
        (("--training-free", "--timestep", "0"), "measured on edges with"),
    ],
)
def test_edges_of_other_settings_are_refused_before_anything_is_written(measured, words, told):
    result = detect("other", "--calibration", measured, *words)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not Path("other").exists()


def test_files_that_hold_none_are_refused_before_anything_is_written():
    for path, told in (("scores/scores.json", "holds no calibration"), ("no.json", "no.json")):
        result = detect("other", "--calibration", path)
        assert result.exit_code == 1
        assert told in result.stderr
        assert not Path("other").exists()


def test_it_is_for_edges_alone(measured):
    result = run("annotate", "photos", "set", "--task", "instances", "--calibration", measured)
    assert result.exit_code == 1
    assert "--format, --soft, --lines and --calibration are for --task edges" in result.stderr


def test_a_method_that_draws_nothing_has_none(measured):
    Path("blank").mkdir()
    for path in Path("labels").iterdir():
        with Image.open(path) as image:
            Image.new("L", image.size).save(Path("blank", path.name))
    for first in ("blank=plain", "blank"):
        command = ("evaluate", "edges", first, "plain", "labels", "--out", "two", "--workers", 1)
        assert run(*command).exit_code == 0
    assert [path.name for path in Path("two/calibration").glob("*.json")] == ["plain.json"]


def test_a_file_of_somebody_is_not_replaced(measured):
    measured.write_text("mine", encoding="utf-8")
    scored = run("evaluate", "edges", "plain", "labels", "--out", "scores", "--workers", 1)
    assert scored.exit_code == 1
    assert "was changed since trace-edges evaluate edges wrote it" in scored.stderr
    assert measured.read_text(encoding="utf-8") == "mine"


def test_lines_of_another_kind_have_a_calibration_of_their_own(measured):
    refused = detect("other", "--calibration", measured, "--lines", "contours")
    assert refused.exit_code == 1
    assert "measured on edges with lines thin, and these have contours" in refused.stderr
    assert not Path("other").exists()
    detect("closed", "--lines", "contours")
    run("evaluate", "edges", "closed", "labels", "--out", "again", "--workers", 1)
    own = "again/calibration/closed.json"
    assert detect("calibrated", "--lines", "contours", "--calibration", own).exit_code == 0
    assert detect("thin", "--calibration", own).exit_code == 1
