"""A detector comes straight in its number type, and says in which its backbone was trained on."""

import json

import numpy as np
import pytest
import torch

from trace_edges import backbones
from trace_edges.backbones import BackboneError, load_backbone
from trace_edges.detector import EdgeDetector, Student, StudentSettings

PICTURE = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@pytest.fixture
def save(tmp_path):
    """A function that saves a detector on a model in this number type, and gives both."""

    def call(model, dtype, rank=0):
        torch.manual_seed(0)
        settings = StudentSettings(blocks=(0, 1), width=16, rank=rank)
        detector = EdgeDetector(Student(load_backbone(model, dtype=dtype), settings), 64)
        detector.save_pretrained(tmp_path / "saved")
        return detector, tmp_path / "saved"

    return call


@pytest.fixture
def loads(monkeypatch):
    """The number types that backbones were loaded in."""
    types = []

    def load(*args, dtype, **options):
        types.append(dtype)
        return load_backbone(*args, dtype=dtype, **options)

    monkeypatch.setattr(backbones, "load_backbone", load)
    return types


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("kind", ["pixart", "sdxl"])
def test_one_trained_in_float32_comes_straight_in_half(tiny_model, save, loads, name, kind):
    _, folder = save(tiny_model(kind), torch.float32)
    detector = EdgeDetector.from_pretrained(folder, dtype=HALVES[name])
    assert loads == [HALVES[name]]
    backbone = detector.student.backbone
    assert backbone.dtype == HALVES[name]
    overflows = kind == "sdxl" and name == "float16"
    vae = torch.float32 if overflows else HALVES[name]
    assert {p.dtype for p in backbone.vae.parameters()} == {vae}
    assert np.isfinite(detector(PICTURE).edges).all()


def test_one_of_version_0_1_is_told_apart_in_float32_first(tiny_pixart, save, loads):
    _, folder = save(tiny_pixart(), torch.float32)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["backbone_rounded"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    detector = EdgeDetector.from_pretrained(folder, dtype=torch.bfloat16)
    assert loads == [torch.float32]
    assert detector.student.backbone.dtype == torch.bfloat16


def test_another_backbone_is_refused_in_half_precision_too(tiny_pixart, save):
    _, folder = save(tiny_pixart(), torch.float32)
    other = tiny_pixart("other", num_layers=3)
    with pytest.raises(BackboneError, match="trained on other weights"):
        EdgeDetector.from_pretrained(folder, backbone=other, dtype=torch.bfloat16)


def test_one_trained_beside_bfloat16_says_so_and_comes_in_every_type(tiny_pixart, save, loads):
    pytest.importorskip("peft")
    trained, folder = save(tiny_pixart(), torch.bfloat16, rank=2)
    assert {p.dtype for _, p in trained.student.trained()} == {torch.float32}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["backbone_dtype"] == "bfloat16"
    assert "backbone_rounded" not in config
    expected = trained(PICTURE).edges
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        found = EdgeDetector.from_pretrained(folder, dtype=dtype)
        assert found.student.backbone.dtype == dtype
        assert np.abs(found(PICTURE).edges - expected).max() < 0.02
        found.save_pretrained(folder.parent / "again")
        again = json.loads((folder.parent / "again" / "config.json").read_text(encoding="utf-8"))
        assert again == config
    assert loads == [torch.bfloat16] * 3  # what the weights were, whatever becomes of them


def test_a_vae_computes_in_its_own_type_whatever_autocast_says(tiny_model):
    """SDXL's overflows in float16, in training with --mixed-precision too."""
    backbone = load_backbone(tiny_model("sdxl"))
    images = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    latents = backbone.encode(images)
    decoded = backbone.decode(latents)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(backbone.encode(images), latents)
        assert torch.equal(backbone.decode(latents), decoded)


def test_memory_that_ends_is_one_line_with_what_fits_faked(tiny_pixart, save, monkeypatch):
    detector, _ = save(tiny_pixart(), torch.float32)

    def out_of_memory(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(detector.student, "features", out_of_memory)
    with pytest.raises(BackboneError, match=r"ran out of memory on cpu at 48 x 80 px") as caught:
        detector(PICTURE)
    assert "\n" not in str(caught.value)


def test_one_that_does_not_fit_its_device_is_one_line_faked(tiny_pixart, save, monkeypatch):
    _, folder = save(tiny_pixart(), torch.float32)

    def out_of_memory(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Student, "to", out_of_memory)
    with pytest.raises(BackboneError, match=r"saved does not fit on cpu: take another") as caught:
        EdgeDetector.from_pretrained(folder)
    assert "\n" not in str(caught.value)
