"""A single file in the layout that people share gives the model that its folder gives."""

import re
from dataclasses import replace

import pytest
import torch
from diffusers.loaders.single_file_utils import CHECKPOINT_KEY_NAMES
from safetensors.torch import save_file

from trace_edges.backbones import CHECKPOINTS, FAMILIES, BackboneError, load_backbone

_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
           "norm2": "out_layers.0", "conv2": "out_layers.3",
           "conv_shortcut": "skip_connection"}  # fmt: skip
_ENDS = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
         "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
         "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
         "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
         "mid_block.resnets.1": "middle_block.2"}  # fmt: skip
_VAE = {"mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2",
        "mid_block.attentions.0.group_norm": "mid.attn_1.norm",
        "mid_block.attentions.0.to_q": "mid.attn_1.q",
        "mid_block.attentions.0.to_k": "mid.attn_1.k",
        "mid_block.attentions.0.to_v": "mid.attn_1.v",
        "mid_block.attentions.0.to_out.0": "mid.attn_1.proj_out",
        "conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut"}  # fmt: skip


def renamed(name, names):
    for old, new in names.items():
        name = re.sub(rf"(^|\.){re.escape(old)}\.", rf"\g<1>{new}.", name)
    return name


def unet_name(name):
    """diffusers' name of a tensor of a UNet with one layer in a block, in the layout of LDM."""
    place = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|\w+samplers)\.(\d+)\.", name)
    if place is None:
        inner = {} if "attentions" in name else _RESNET
        return renamed(renamed(name, _ENDS), inner)
    side, block, what, layer = place[1], int(place[2]), place[3], int(place[4])
    rest, start = name[place.end() :], 1 if side == "down" else 0
    number = start + 2 * block + layer
    if what == "downsamplers":
        return f"input_blocks.{number + 1}.0.{rest.replace('conv', 'op')}"
    if what == "upsamplers":  # behind the attention of the block's last layer
        return f"output_blocks.{number + 1}.2.{rest}"
    blocks = "input_blocks" if side == "down" else "output_blocks"
    if what == "attentions":
        return f"{blocks}.{number}.1.{rest}"
    return f"{blocks}.{number}.0.{renamed(rest, _RESNET)}"


def vae_name(name, levels=4):
    def turned(match):  # the decoder's blocks are counted from the picture
        return f"decoder.up.{levels - 1 - int(match[1])}."

    name = re.sub(r"decoder\.up_blocks\.(\d+)\.", turned, name)
    name = re.sub(r"encoder\.down_blocks\.(\d+)\.", r"encoder.down.\1.", name)
    name = name.replace("resnets", "block") if "mid_block" not in name else name
    name = re.sub(r"(down|up)samplers\.0\.", r"\1sample.", name)
    return renamed(name, _VAE)


def shared_layout(backbone):
    unet = {f"model.diffusion_model.{unet_name(n)}": t
            for n, t in backbone.denoiser.state_dict().items()}  # fmt: skip
    vae = {f"first_stage_model.{vae_name(n)}": t for n, t in backbone.vae.state_dict().items()}
    text = {CHECKPOINT_KEY_NAMES["xl_base"]: torch.zeros(8)}  # by which SDXL is known
    return {n: t.contiguous() for n, t in (unet | vae | text).items()}


@pytest.fixture
def sdxl(tiny_model, monkeypatch):
    """A tiny SDXL from its folder; the table takes its architecture for that of the real one."""
    backbone = load_backbone(tiny_model("sdxl"), null="zeros")
    config, vae = (
        {key: value for key, value in model.config.items() if not key.startswith("_")}
        for model in (backbone.denoiser, backbone.vae)
    )
    monkeypatch.setitem(CHECKPOINTS, "sdxl", replace(CHECKPOINTS["sdxl"], config=config))
    families = tuple(
        replace(row, vae_config=vae) if row.name == "sdxl" else row for row in FAMILIES
    )
    monkeypatch.setattr("trace_edges.backbones.listed.FAMILIES", families)
    return backbone


@torch.no_grad()
def test_a_file_gives_what_its_folder_gives(sdxl, tmp_path):
    path = tmp_path / "sdxl.safetensors"
    save_file(shared_layout(sdxl), path)
    backbone = load_backbone(path)
    assert backbone.name == str(path)
    assert backbone.family.name == "sdxl"
    for part in ("denoiser", "vae"):
        expected, tensors = (getattr(one, part).state_dict() for one in (sdxl, backbone))
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    latents = sdxl.encode(image)
    torch.testing.assert_close(backbone.encode(image), latents)
    for found, wanted in zip(backbone.attend(latents, 300), sdxl.attend(latents, 300), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("prefix", "part"), [("first_stage_model.", "vae"), ("model.diffusion_model.out", "unet")]
)
def test_a_file_that_lacks_a_part_says_which(sdxl, tmp_path, prefix, part):
    path = tmp_path / "half.safetensors"
    whole = shared_layout(sdxl)
    save_file({n: t for n, t in whole.items() if not n.startswith(prefix)}, path)
    with pytest.raises(
        BackboneError, match=rf"half\.safetensors.* weights of the {part}"
    ) as caught:
        load_backbone(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ("something.weight", r"no whole model of a known kind .*sdxl"),
        ("lora_unet_mid_block.lora_up.weight", "is a LoRA alone: put it on its model"),
        ("transformer.blocks.0.attn.lora_A.weight", "is a LoRA alone: put it on its model"),
        # As ComfyUI takes them, a denoiser without a VAE: FLUX's own files are such.
        ("double_blocks.0.img_attn.norm.key_norm.scale", "not hold all weights of the vae"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, tensor, said):
    path = tmp_path / "file.safetensors"
    others = {name: torch.zeros(2, 2) for name in ("guidance_in.in_layer.bias", "img_in.weight")}
    save_file({tensor: torch.zeros(2, 2), **(others if "double" in tensor else {})}, path)
    with pytest.raises(BackboneError, match=said):
        load_backbone(path)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(b"\x08")
    with pytest.raises(BackboneError, match=r"cut\.safetensors is damaged"):
        load_backbone(path)


def test_the_null_condition_of_a_file_is_that_of_its_checkpoint(sdxl, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    path = tmp_path / "sdxl.safetensors"
    save_file(shared_layout(sdxl), path)
    with pytest.raises(
        BackboneError, match=r"'sdxl' .*stable-diffusion-xl-base.* not in the local"
    ):
        load_backbone(path, null="encoded", local_files_only=True)


@pytest.mark.parametrize(
    ("markers", "about", "prediction", "zero_snr"),
    [
        ((), {}, "epsilon", False),
        (("v_pred",), {}, "v_prediction", False),
        (("v_pred", "ztsnr"), {}, "v_prediction", True),
        (("ztsnr",), {}, "epsilon", True),
        ((), {"modelspec.prediction_type": "v"}, "v_prediction", False),
        ((), {"modelspec.prediction_type": "epsilon"}, "epsilon", False),
    ],
)
def test_markers_in_a_file_say_what_it_predicts(
    sdxl, tmp_path, markers, about, prediction, zero_snr
):
    """Empty tensors of these names are in v-prediction fine-tunes of SDXL such as NoobAI's, and
    the key of the metadata is ModelSpec's (both from memory).
    """
    path = tmp_path / "sdxl.safetensors"
    save_file(shared_layout(sdxl) | {name: torch.zeros(0) for name in markers}, path, about or None)
    schedule = load_backbone(path).schedule
    assert schedule.prediction_type == prediction
    assert (schedule.levels[-1] == 0) == zero_snr
    asked = load_backbone(path, prediction_type="v_prediction")
    assert asked.schedule.prediction_type == "v_prediction"
    assert asked.loaded_with["prediction_type"] == "v_prediction"


def test_an_unknown_prediction_type_is_refused(tiny_model):
    with pytest.raises(BackboneError, match="prediction type 'x0' is not supported; known: eps"):
        load_backbone(tiny_model("sd15"), prediction_type="x0")
    with pytest.raises(BackboneError, match="predicts the flow, not epsilon"):
        load_backbone(tiny_model("sd3"), prediction_type="epsilon")
