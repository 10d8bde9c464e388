"""Options of distillation on how teacher and student are loaded; tiny random models."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from trace_edges.backbones import BackboneError
from trace_edges.cli import app
from trace_edges.detector import EdgeDetector

CONFIG = {
    "teacher": {"timestep": 99, "trajectory": "noise", "resolution": 64}, "resolution": 64,
    "crop": 64, "batch_size": 2, "steps": 2, "validate_every": 2, "save_every": 2,
    "student": {"width": 16},
}  # fmt: skip
PICTURE = np.random.default_rng(9).integers(0, 256, (64, 80, 3), dtype=np.uint8)

torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="torchao is not installed"
)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def distill(photos, tmp_path):
    """Runs the command on the pictures, into one folder; gives its result."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")

    def call(*options, out="run"):
        command = ["distill", photos, "--out", tmp_path / out, "--config", config, *options]
        return CliRunner().invoke(app, [*map(str, command), "--device", "cpu"])

    return call


def made_with(folder):
    (look,) = json.loads((folder / "config.json").read_text(encoding="utf-8"))["training"]["looks"]
    return look


def labels(folder):
    return {file.name for file in (folder / "labels").rglob("*.npy")}


def test_another_null_condition_is_another_run_random_weights(
    distill, tiny_model, tiny_texts, tmp_path
):
    folder, run = tiny_model("sdxl", null=False, **tiny_texts("sdxl")), tmp_path / "run"
    result = distill("--backbone", folder, "--null", "zeros")
    assert result.exit_code == 0, result.output
    assert made_with(run)["null"] == "zeros"
    edges = EdgeDetector.from_pretrained(run)(PICTURE).edges
    zeros = labels(run)
    refused = distill("--backbone", folder, "--null", "encoded")
    assert refused.exit_code == 1
    assert "was begun with backbone" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert len(labels(run)) == 2 * len(zeros)  # labels of the one are not those of the other
    assert np.array_equal(EdgeDetector.from_pretrained(run)(PICTURE).edges, edges)
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (run / "config.json").write_text(
        json.dumps(config | {"backbone_null": "encoded"}), encoding="utf-8"
    )
    with pytest.raises(BackboneError, match="trained on other weights"):
        EdgeDetector.from_pretrained(run)


def test_what_is_of_the_teacher_alone_random_weights(distill, tiny_model, tmp_path):
    of_teacher = ["--shift", 3, "--dtype", "bfloat16", "--offload", "--vae-tiling"]
    result = distill("--backbone", tiny_model("sd3"), *of_teacher)
    assert result.exit_code == 0, result.output
    look = made_with(tmp_path / "run")
    assert (look["shift"], look["dtype"], look["vae_tiling"]) == (3, "bfloat16", True)
    student = EdgeDetector.from_pretrained(tmp_path / "run").student
    assert student.backbone.dtype == torch.float32
    assert student.backbone.loaded_with["vae_tiling"] is None


@torchao
@pytest.mark.parametrize("rank", [0, 2])
def test_beside_weights_in_fewer_bits_random_weights(distill, tiny_model, tmp_path, rank):
    if rank:
        pytest.importorskip("peft")
    run, options = tmp_path / "run", ["--backbone", tiny_model("pixart"), "--rank", rank]
    result = distill(*options, "--quantize", "torchao-int8")
    assert result.exit_code == 0, result.output
    assert made_with(run)["quantize"] == "torchao-int8"
    detector = EdgeDetector.from_pretrained(run)
    assert detector.student.backbone.loaded_with["quantize"] == "torchao-int8"
    assert np.isfinite(detector(PICTURE).edges).all()
    with pytest.raises(ValueError, match="would be rounded again"):
        detector.merge_lora()
    with pytest.raises(BackboneError, match="leave the dtype out"):
        EdgeDetector.from_pretrained(run, dtype=torch.bfloat16)
    before = labels(run)
    refused = distill(*options)
    assert "was begun with backbone" in refused.stderr
    assert len(labels(run)) == 2 * len(before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--teacher", "t", "--shift", 3], "--shift is for a training-free teacher"),
        (["--teacher", "t", "--offload"], "--offload is for a training-free teacher"),
        (["--teacher", "t", "--vae-tiling"], "--vae-tiling is for a training-free teacher"),
        (["--teacher", "t", "--dtype", "float16"], "--dtype is for a training-free teacher"),
        (["--shift", 3], "shift 3.0 is for flow models"),
        (["--null", "x"], "has no null condition 'x'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(distill, tmp_path, options, message):
    result = distill(*options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
