"""Nothing that lies in a folder of a model is run, wherever a loader could import it from."""

import importlib
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import Dinov2Config, Dinov2Model

from trace_edges.backbones import BackboneError, load_backbone, load_encoder
from trace_edges.detector import EdgeDetector
from trace_edges.instances.sam import load_sam

MODULES = ("marker", "pipeline", "unet", "modeling_marker", "configuration_marker", "__init__")


@pytest.fixture
def marked(tmp_path):
    """A function that puts Python that writes a file into a folder and those below it; it gives the
    folder and a function that says whether any of it was run.
    """
    written = tmp_path / "run"

    def mark(folder):
        code = f"open({str(written)!r}, 'w').close()\nclass UNet2DConditionModel: pass\n"
        for place in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
            for name in MODULES:
                (place / f"{name}.py").write_text(code + "class Marker: pass\n", encoding="utf-8")
        return folder, written.exists

    return mark


def change(path, **entries):
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | entries), encoding="utf-8"
    )


_AUTO = ("Config", "Model", "ModelForMaskGeneration", "Tokenizer", "ImageProcessor")
AUTO_MAP = {f"Auto{name}": "modeling_marker.Marker" for name in _AUTO}


def test_the_marker_is_seen_where_it_is_imported(tmp_path, marked, monkeypatch):
    """So that the tests below can fail."""
    (tmp_path / "model").mkdir()
    folder, was_run = marked(tmp_path / "model")
    monkeypatch.syspath_prepend(folder)
    assert not was_run()
    importlib.import_module("modeling_marker")
    assert was_run()


@pytest.mark.parametrize(
    "component", ["marker", "unet", "pipeline", "marker.unet", "os", "trace_edges.files"]
)
def test_a_component_of_another_library_is_refused(tiny_model, marked, component):
    folder, was_run = marked(tiny_model("sd15"))
    change(folder / "model_index.json", unet=[component, "UNet2DConditionModel"])
    with pytest.raises(BackboneError) as refused:
        load_backbone(folder)
    assert component in str(refused.value)
    assert not was_run()


def test_code_beside_a_pipeline_is_not_run(tiny_model, marked):
    folder, was_run = marked(tiny_model("sd15"))
    change(folder / "model_index.json", _class_name="StableDiffusionPipeline")
    for config in ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"):
        change(folder / config, auto_map=AUTO_MAP)
    load_backbone(folder)
    assert not was_run()


def test_a_pipeline_of_its_own_is_refused(tiny_model, marked):
    folder, was_run = marked(tiny_model("sd15"))
    change(folder / "model_index.json", _class_name=["pipeline", "Marker"])
    with pytest.raises(BackboneError, match="code that comes with a model is never run"):
        load_backbone(folder)
    assert not was_run()


@pytest.fixture
def tiny_dino(tmp_path):
    """The folder of a random DINOv2."""
    torch.manual_seed(0)
    model = Dinov2Model(Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                     image_size=28, patch_size=14))  # fmt: skip
    model.save_pretrained(tmp_path / "dino")
    colours = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.25, 0.5]}
    (tmp_path / "dino" / "preprocessor_config.json").write_text(
        json.dumps(colours), encoding="utf-8"
    )
    return tmp_path / "dino"


def test_code_beside_an_encoder_is_not_run(tiny_dino, marked):
    folder, was_run = marked(tiny_dino)
    for config in ("config.json", "preprocessor_config.json"):
        change(folder / config, auto_map=AUTO_MAP)
    load_encoder(folder)
    assert not was_run()


def test_an_encoder_that_is_a_pickle_is_refused_and_the_mend_is_named(tiny_dino):
    weights = tiny_dino / "model.safetensors"
    torch.save(load_file(weights), tiny_dino / "pytorch_model.bin")
    load_encoder(tiny_dino)
    weights.unlink()
    with pytest.raises(BackboneError, match=r"only weights that are pickles \(pytorch_model.bin\)"):
        load_encoder(tiny_dino)


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_code_beside_a_sam_is_not_run(tiny_sam, tmp_path, marked, kind):
    folder, was_run = marked(tiny_sam(kind, tmp_path / kind))
    for config in ("config.json", "preprocessor_config.json"):
        change(folder / config, auto_map=AUTO_MAP)
    load_sam(folder)
    assert not was_run()


def test_code_beside_a_detector_is_not_run(tmp_path, marked):
    EdgeDetector.from_pretrained().save_pretrained(tmp_path / "detector")
    folder, was_run = marked(tmp_path / "detector")
    change(folder / "config.json", auto_map=AUTO_MAP)
    EdgeDetector.from_pretrained(folder)
    assert not was_run()
