"""Nothing that lies in a folder of a model is run, wherever a loader could import it from."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Dinov2Config, Dinov2Model

from trace_edges.backbones import BackboneError, load_backbone, load_encoder
from trace_edges.detector import EdgeDetector
from trace_edges.instances.sam import SamError, load_sam

MODULES = ("marker", "pipeline", "unet", "modeling_marker", "configuration_marker", "__init__")


PICKLES = ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.pt", "model.pth",
           "training_args.bin", "scheduler.pt", "weights.pkl", "model.ckpt", "adapter_model.bin",
           "tokenizer.pkl", "learned_embeds.bin")  # fmt: skip


class Trap:
    """What a pickle can do: make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def marked(tmp_path):
    """A function that puts Python and pickles that write a file into a folder and those below it;
    it gives the folder and a function that says whether any of it was run.
    """
    written = tmp_path / "run"

    def mark(folder):
        code = f"open({str(written)!r}, 'w').close()\nclass UNet2DConditionModel: pass\n"
        for place in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
            for name in MODULES:
                (place / f"{name}.py").write_text(code + "class Marker: pass\n", encoding="utf-8")
            for name in PICKLES:
                torch.save(Trap(written), place / name)
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


def test_the_marker_is_seen_where_a_pickle_is_read(tmp_path, marked):
    (tmp_path / "model").mkdir()
    folder, was_run = marked(tmp_path / "model")
    torch.load(folder / "model.ckpt", weights_only=False)
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


@pytest.mark.parametrize("kind", ["sd15", "flux-dev"])
def test_code_beside_text_encoders_and_tokenizers_is_not_run(
    tiny_model, tiny_texts, own_cache, marked, kind
):
    folder, was_run = marked(tiny_model(kind, null=False, **tiny_texts(kind)))
    configs = [path for path in folder.glob("*/*config.json") if "generation" not in path.name]
    assert {path.parent.name for path in configs} >= {"text_encoder", "tokenizer"}
    for config in configs:
        change(config, auto_map=AUTO_MAP, trust_remote_code=True, custom_pipeline="pipeline")
    change(folder / "tokenizer/tokenizer_config.json", auto_map={
        "AutoTokenizer": ["modeling_marker.Marker", None]})  # fmt: skip
    load_backbone(folder)
    assert not was_run()


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_part_whose_weights_are_a_pickle_is_refused(
    tiny_model, tiny_texts, own_cache, marked, part
):
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))
    folder, was_run = marked(folder)
    for weights in (folder / part).glob("*.safetensors*"):
        weights.unlink()
    with pytest.raises(BackboneError, match=f"{part} has only weights that are pickles"):
        load_backbone(folder)
    assert not was_run()


@pytest.mark.parametrize("suffix", ["ckpt", "pt", "pth", "bin", "pkl"])
def test_a_single_file_that_is_a_pickle_is_refused(tmp_path, marked, suffix):
    (tmp_path / "model").mkdir()
    folder, was_run = marked(tmp_path / "model")
    (folder / "model.ckpt").rename(folder / f"it.{suffix}")
    with pytest.raises(BackboneError, match="are pickles"):
        load_backbone(folder / f"it.{suffix}")
    shutil.copy(folder / f"it.{suffix}", folder / "it.safetensors")  # and under a false name
    with pytest.raises(BackboneError, match=r"it\.safetensors"):
        load_backbone(folder / "it.safetensors")
    assert not was_run()


@pytest.mark.parametrize("base", ["other", "some/repository"])
def test_an_adapter_does_not_lead_to_another_model(tiny_dino, marked, base):
    base = str(tiny_dino.parent / base) if base == "other" else base
    shutil.copytree(tiny_dino, tiny_dino.parent / "other")
    marked(tiny_dino.parent / "other")
    folder, was_run = marked(tiny_dino)
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": base, "r": 4,
                    "target_modules": "all-linear"}), encoding="utf-8")  # fmt: skip
    with pytest.raises(BackboneError, match=r"adapter_config\.json, which leads to another model"):
        load_encoder(folder)
    assert not was_run()


def test_attention_of_the_hub_is_refused(tiny_dino):
    for key in ("attn_implementation", "_attn_implementation"):
        before = (tiny_dino / "config.json").read_text(encoding="utf-8")
        change(tiny_dino / "config.json", **{key: "some/kernels"})
        with pytest.raises(BackboneError, match="'some/kernels', code of the hub"):
            load_encoder(tiny_dino)
        (tiny_dino / "config.json").write_text(before, encoding="utf-8")


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
def test_a_sam_that_is_a_pickle_is_refused(tiny_sam, tmp_path, marked, kind):
    folder, was_run = marked(tiny_sam(kind, tmp_path / kind))
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    with pytest.raises(SamError, match="pickles"):
        load_sam(folder)
    assert not was_run()


def test_a_detector_that_is_a_pickle_is_refused(tmp_path, marked):
    EdgeDetector.from_pretrained().save_pretrained(tmp_path / "detector")
    folder, was_run = marked(tmp_path / "detector")
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()
    with pytest.raises((BackboneError, ValueError, OSError)) as refused:
        EdgeDetector.from_pretrained(folder)
    assert str(folder) in str(refused.value)
    assert not was_run()


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
