"""A student that reads the image alone, trained and used as every detector is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import trace_edges as te
from trace_edges.backbones import BackboneError
from trace_edges.detector import EdgeDetector, StudentSettings
from trace_edges.detector.pixels import PixelStudent
from trace_edges.distillation import CONFIGS, distill_detector

SMALL = StudentSettings(blocks=(), widths=(16, 24), width=16)


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return EdgeDetector(PixelStudent(SMALL), 64)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)


def test_edges_have_the_size_of_the_picture_and_name_no_backbone(detector, picture):
    out = detector(picture)
    assert out.edges.shape == (1, 50, 70)
    assert out.settings["method"] == "one-step"
    assert out.settings["backbone"] is None
    assert (out.edges >= 0).all()
    assert (out.edges <= 1).all()


def test_it_is_saved_and_loaded_again_without_a_backbone(detector, picture, tmp_path):
    detector.save_pretrained(tmp_path)
    loaded = EdgeDetector.from_pretrained(tmp_path)
    assert np.array_equal(loaded(picture).edges, detector(picture).edges)
    assert loaded.fingerprint() == detector.fingerprint()
    assert "backbone" not in json.loads((tmp_path / "config.json").read_bytes())
    assert "the image alone" in (tmp_path / "README.md").read_text(encoding="utf-8")
    with pytest.raises(BackboneError, match="reads the image alone: leave the backbone out"):
        EdgeDetector.from_pretrained(tmp_path, backbone="trace-mini")


def test_a_config_that_is_larger_than_its_weights_is_refused_by_name(detector, tmp_path):
    detector.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_bytes())
    config["student"]["widths"] = [1024] * 8
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(BackboneError, match=r"does not hold the weights of its config\.json"):
        EdgeDetector.from_pretrained(tmp_path)


def test_a_config_without_a_backbone_is_only_right_for_a_student_that_has_none(detector, tmp_path):
    detector.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_bytes())
    config["student"] = StudentSettings().describe()
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(BackboneError, match="lacks backbone, backbone_fingerprint"):
        EdgeDetector.from_pretrained(tmp_path)


@pytest.mark.parametrize("more", [{"blocks": (-1,)}, {"rank": 4}, {"attention": 3}])
def test_settings_of_a_denoiser_do_not_go_with_it(more):
    with pytest.raises(ValueError, match="reads the image alone"):
        replace(SMALL, **more)


def test_logits_that_are_not_finite_are_an_error(detector, picture):
    with torch.no_grad():
        detector.student.decoder.leave.bias.fill_(float("nan"))
    with pytest.raises(BackboneError, match="NaN or infinity"):
        detector(picture)


def test_it_is_exported_to_onnx(detector, tmp_path):
    pytest.importorskip("onnxruntime")
    from trace_edges.detector import export_onnx

    export_onnx(detector, tmp_path / "edges.onnx", (48, 64))
    assert (tmp_path / "edges.onnx").stat().st_size > 1000


def test_it_is_distilled_and_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for number in range(4):
        picture = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        picture[20:60, 30:80] += 180
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])
    settings = replace(
        CONFIGS["pixels"], student=SMALL, resolution=96, crop=48, batch_size=2, steps=40,
        pasted=0.8, validate_every=20, save_every=5, detect_resolution=None,
        teacher=replace(CONFIGS["pixels"].teacher, resolution=128),
    )  # fmt: skip
    sprite = np.zeros((24, 24, 4), np.uint8)
    sprite[4:20, 4:20] = 255

    def run(folder, **more):
        teacher = te.TraceEdgePipeline.from_pretrained()
        return distill_detector(
            paths, tmp_path / folder, settings, None, teacher, labels=tmp_path / "labels",
            sprites=[sprite], **more,
        )  # fmt: skip

    class StoppedError(Exception):
        pass

    def stop(line):
        if line["step"] == 23:
            raise StoppedError

    undisturbed = run("a")
    with pytest.raises(StoppedError):
        run("b", on_step=stop)
    assert run("b").fingerprint() == undisturbed.fingerprint()
    measured = undisturbed.training["measured"]
    assert measured["validation loss, last"] < measured["validation loss, first"]
    assert undisturbed.training["sprites"] == 1
    assert EdgeDetector.from_pretrained(tmp_path / "a").resolution == 96
