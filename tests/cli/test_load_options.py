"""Options on how a backbone is loaded and walked; tiny random models."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "photo.png")
    return tmp_path / "photos" / "photo.png"


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments), "--device", "cpu"])


@pytest.fixture
def detect(photo, tmp_path):
    """Runs the command on the picture; gives its record."""

    def call(*options):
        out = tmp_path / "out"
        fast = ["--resolution", 64, "--stride", 500, "--overwrite"]
        result = run("detect", photo, "--out", out, *fast, *options)
        assert result.exit_code == 0, result.output
        return json.loads((out / "photo.json").read_text(encoding="utf-8"))

    return call


def test_another_null_condition_gives_other_edges_random_weights(tiny_model, tiny_texts, detect):
    folder = tiny_model("sdxl", null=False, **tiny_texts("sdxl"))
    zeros, encoded = (detect("--backbone", folder, "--null", kind) for kind in ("zeros", "encoded"))
    assert zeros["settings"]["null"] == "zeros"
    assert encoded["settings"]["null"] == "encoded"
    assert zeros["emergence"]["curve"] != encoded["emergence"]["curve"]


def test_offload_and_tiling_random_weights(tiny_model, detect):
    folder = tiny_model("sd15")
    plain, offloaded = detect("--backbone", folder), detect("--backbone", folder, "--offload")
    assert offloaded["emergence"] == plain["emergence"]
    tiled = detect("--backbone", folder, "--vae-tiling")
    assert tiled["settings"]["vae_tiling"] is True


def test_a_shift_says_where_a_flow_is_read_random_weights(tiny_model, detect):
    record = detect("--backbone", tiny_model("sd3"), "--shift", 3)
    assert record["settings"]["shift"] == 3
    assert record["emergence"]["timesteps"] == [0, 750, 1000]
    assert detect("--backbone", tiny_model("sd15"))["settings"]["shift"] is None


def test_segment_and_annotate_take_them_random_weights(tiny_model, photo, tmp_path):
    options = ["--backbone", tiny_model("sd3"), "--shift", 3, "--stride", 500, "--offload",
               "--resolution", 64]  # fmt: skip
    result = run("segment", photo, "--out", tmp_path / "segments", *options)
    assert result.exit_code == 0, result.output
    result = run("annotate", photo.parent, tmp_path / "labels", "--task", "edges", *options)
    assert result.exit_code == 0, result.output


def test_a_sheet_of_a_prompt_takes_them_random_weights(tiny_model, tiny_texts, tmp_path):
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))
    options = ["--backbone", folder, "--resolution", 64, "--steps", 2, "--vae-tiling"]
    result = run("explain", "--prompt", "cats", "--out", tmp_path / "sheet.png", *options)
    assert result.exit_code == 0, result.output


def test_a_sheet_of_a_picture_takes_them_random_weights(tiny_model, photo, tmp_path):
    options = ["--backbone", tiny_model("sdxl"), "--null", "zeros", "--stride", 500]
    result = run("explain", photo, "--out", tmp_path / "sheet.png", *options, "--resolution", 64)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("detect", ["--null", "zeros"], "--null belongs to the training-free method"),
        ("detect", ["--offload"], "--offload belongs to the training-free method"),
        ("detect", ["--shift", 3], "--shift belongs to the training-free method"),
        ("detect", ["--training-free", "--shift", 3], "shift 3.0 is for flow models"),
        ("detect", ["--training-free", "--null", "x"], "has no null condition 'x'; known: encoded"),
        ("detect", ["--backbone", "dinov2-base", "--null", "x"], "leave null out"),
        ("explain", ["--prompt", "cats", "--null", "zeros"], "--null is for images, not for a"),
        ("segment", ["--threshold", 0.5], "--threshold cuts masks of maskcut and promerge"),
        ("segment", ["--edges", ".", "--resolution", 64], "--resolution is for a model that draws"),
        ("annotate", ["--task", "edges", "--find", "areas"], "are for --task instances"),
        ("annotate", ["--task", "edges", "--things", "1"], "are for --task panoptic"),
        ("annotate", ["--task", "instances", "--min-radius", 9], "are for --task panoptic"),
        ("annotate", ["--task", "instances", "--soft"], "are for --task edges"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(photo, tmp_path, command, options, message):
    where = [] if "--prompt" in options else [photo]
    out = tmp_path / ("out.png" if command == "explain" else "out")
    result = run(command, *where, "--out", out, *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not out.exists()


def test_a_revision_reaches_the_hub(photo, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    options = ["--backbone", "somebody/something", "--revision", "v2"]
    result = run("detect", photo, "--out", tmp_path / "out", *options)
    assert result.exit_code == 1
    assert "revision 'v2'" in result.stderr
