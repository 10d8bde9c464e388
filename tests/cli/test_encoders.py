"""The commands with an encoder in the place of a diffusion model; tiny and random."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ViTConfig, ViTModel
from typer.testing import CliRunner

from trace_edges.cli import app


@pytest.fixture
def vit(tmp_path):
    torch.manual_seed(0)
    config = ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=64,
                       patch_size=8, intermediate_size=48)  # fmt: skip
    ViTModel(config).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "photo.png")
    return tmp_path / "photos" / "photo.png"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_detect_says_that_there_was_no_trajectory_random_weights(vit, photo, tmp_path):
    out = tmp_path / "out"
    result = run("detect", photo, "--out", out, "--backbone", vit, "--device", "cpu")
    assert result.exit_code == 0, result.output
    record = json.loads((out / "photo.json").read_text(encoding="utf-8"))
    assert record["settings"]["method"] == "encoder"
    assert record["settings"]["trajectory"] is None
    assert record["emergence"] == {"timesteps": [0], "curve": []}
    assert record["settings"]["resolution"] == 64
    with Image.open(out / "photo.edges.png") as edges:
        assert edges.size == (80, 48)
    assert "1 skipped" in run("detect", photo, "--out", out, "--backbone", vit).stdout


def test_detect_refuses_a_stride_in_one_line(vit, photo, tmp_path):
    options = ["--backbone", vit, "--device", "cpu", "--stride", 50]
    result = run("detect", photo, "--out", tmp_path / "out", *options)
    assert result.exit_code == 1
    assert "makes a single pass without noise: leave out stride" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_explain_draws_the_one_look_random_weights(vit, photo, tmp_path):
    sheet = tmp_path / "sheet.png"
    result = run("explain", photo, "--out", sheet, "--backbone", vit, "--device", "cpu")
    assert result.exit_code == 0, result.output
    with Image.open(sheet) as image:
        assert image.height == 3 * (300 + 26) + 8


def test_segment_and_annotate_take_it_random_weights(vit, photo, tmp_path):
    options = ["--backbone", vit, "--device", "cpu"]
    result = run("segment", photo, "--out", tmp_path / "segments", *options)
    assert result.exit_code == 0, result.output
    result = run("annotate", photo.parent, tmp_path / "labels", "--task", "edges", *options)
    assert result.exit_code == 0, result.output


def test_distill_refuses_it(vit, photo, tmp_path):
    result = run("distill", photo, "--out", tmp_path / "run", "--backbone", vit, "--device", "cpu")
    assert result.exit_code == 1
    assert "is an encoder: only diffusion models are distilled" in result.stderr
    assert "Traceback" not in result.output


def test_the_table_lists_encoders():
    table = run("backbones")
    assert "dinov2-base-registers" in table.stdout
    rows = json.loads(run("backbones", "--json").stdout)
    assert rows["dinov3-7b"]["gated"]
    about = run("backbones", "qwen2.5-vl-7b").stdout
    assert "Qwen/Qwen2.5-VL-7B-Instruct" in about
    assert "without windows" in about
    refused = run("backbones", "dinov2-base", "--prepare")
    assert "dinov2-base is not a diffusion model" in refused.stderr
