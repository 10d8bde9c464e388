import json

import pytest
import torch
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel, ViTConfig, ViTModel

from trace_edges.backbones.encoders.loading import load_vit
from trace_edges.backbones.problems import BackboneError

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 32,
    "patch_size": 8,
}


@pytest.fixture
def vit(tmp_path):
    """The folder of a random ViT: two layers, three heads, patches of 8 x 8 px."""
    torch.manual_seed(0)
    ViTModel(ViTConfig(intermediate_size=48, **SMALL)).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def images(height=32, width=48):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_keys_lie_on_the_grid_of_the_image(vit):
    backbone = load_vit(vit)
    assert backbone.cell == 8
    assert backbone.keys(images()).shape == (2, 4, 6, 24)


def test_keys_are_those_of_the_last_layer_without_the_class_token(vit):
    """By hand: the layer's input, its norm, the projection; token 1 + 6 r + c is cell (r, c)."""
    backbone = load_vit(vit)
    model = backbone.model
    pixels = ((images() + 1) / 2 - backbone.tower.mean) / backbone.tower.std
    with torch.inference_mode():
        output = model(pixels, interpolate_pos_encoding=True, output_hidden_states=True)
        norms = [m for name, m in model.named_modules() if name.endswith("layernorm_before")]
        weights = {n: p for n, p in model.named_parameters() if "k_proj" in n or ".key." in n}
        weight, bias = list(weights.values())[-2:]
        expected = norms[-1](output.hidden_states[-2]) @ weight.T + bias
    keys = backbone.keys(images())
    torch.testing.assert_close(keys[:, 2, 3], expected[:, 1 + 6 * 2 + 3])
    torch.testing.assert_close(keys.flatten(1, 2), expected[:, 1:])


def test_registers_are_left_out(tmp_path):
    torch.manual_seed(0)
    config = Dinov2WithRegistersConfig(mlp_ratio=2, num_register_tokens=4, **SMALL)
    Dinov2WithRegistersModel(config).save_pretrained(tmp_path / "dinov2")
    assert load_vit(tmp_path / "dinov2").keys(images()).shape == (2, 4, 6, 24)


def test_the_model_is_left_without_hooks(vit):
    backbone = load_vit(vit)
    first = backbone.keys(images())
    torch.testing.assert_close(backbone.keys(images()), first, rtol=0, atol=0)
    assert not any(module._forward_hooks for module in backbone.model.modules())


def test_colours_are_scaled_as_the_folder_says(vit):
    assert load_vit(vit).tower.mean.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    scale = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (vit / "preprocessor_config.json").write_text(json.dumps(scale), encoding="utf-8")
    assert load_vit(vit).tower.std.flatten().tolist() == [0.25, 0.25, 0.25]


def test_sides_must_fill_cells(vit):
    with pytest.raises(ValueError, match="36 x 48 px do not fill cells of 8 px"):
        load_vit(vit).keys(images(36, 48))


def test_an_unknown_name_is_refused():
    with pytest.raises(
        BackboneError, match=r"'dino' is neither one of dino-vitb8, .* nor a folder"
    ):
        load_vit("dino")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(BackboneError, match=r"could not be loaded: it has no config\.json"):
        load_vit(tmp_path)


def test_a_text_model_is_refused(tmp_path):
    from transformers import BertConfig, BertModel

    config = BertConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=3,
                        intermediate_size=32, vocab_size=40)  # fmt: skip
    BertModel(config).save_pretrained(tmp_path / "text")
    with pytest.raises(
        BackboneError, match="model_type is 'bert', whose attention cannot be read; known: vit"
    ):
        load_vit(tmp_path / "text")
