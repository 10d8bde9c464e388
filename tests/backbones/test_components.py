"""Parts of a pipeline as people have them, broken, foreign or by later versions: one line each."""

import json

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from trace_edges.backbones import BackboneError, load_backbone, open_backbone
from trace_edges.explain import load_generator


def refused(folder, *said, load=load_backbone):
    with pytest.raises(BackboneError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    for part in said:
        assert part in message


def edit(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes), encoding="utf-8")


def weights_of(folder):
    (path,) = folder.glob("*.safetensors")
    return path, load_file(path)


def put_lora_on(weights):
    """As peft names what lies below its layers."""
    return {name.replace("attn1.to_q", "attn1.to_q.base_layer"): t for name, t in weights.items()}


def without_two(weights):
    names = sorted(weights)
    return {name: weights[name] for name in names[2:]}


@pytest.mark.parametrize(
    ("change", "mend"),
    [(put_lora_on, "unload that and save it again"), (without_two, "fetch it again")],
)
@pytest.mark.parametrize(
    ("kind", "part"), [("sd15", "unet"), ("sd3", "transformer"), ("pixart", "transformer")]
)
def test_weights_that_lack_some_are_refused(tiny_model, kind, part, change, mend):
    folder = tiny_model(kind)
    path, weights = weights_of(folder / part)
    changed = change(weights)
    lacking = sorted(weights.keys() - changed.keys())
    if not lacking:  # SD3 has no attn1
        pytest.skip("nothing changed")
    save_file(changed, path)
    refused(folder, f"{folder / part} lacks {len(lacking)} weights", f"(first: {lacking[0]})",
            mend)  # fmt: skip


def test_a_vae_that_lacks_weights_is_refused(tiny_model):
    folder = tiny_model("sd15")
    path, weights = weights_of(folder / "vae")
    save_file(without_two(weights), path)
    refused(folder, f"{folder / 'vae'} lacks 2 weights of a AutoencoderKL")


def test_old_names_in_a_vae_are_fine(tiny_model):
    """As Stable Diffusion's VAEs have them, from before diffusers 0.17 (seen in public copies)."""
    folder = tiny_model("sd15")
    path, weights = weights_of(folder / "vae")
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    expected = load_backbone(folder).vae.state_dict()
    renamed = {}
    for name, tensor in weights.items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        renamed[name] = tensor
    assert renamed.keys() != weights.keys()
    save_file(renamed, path)
    found = load_backbone(folder).vae.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_text_encoder_that_lacks_weights_is_refused(tiny_model, tiny_texts):
    """transformers would fill them with noise."""
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))
    path, weights = weights_of(folder / "text_encoder")
    save_file(without_two(weights), path)
    refused(folder, f"{folder / 'text_encoder'} lacks 2 weights of a CLIPTextModel")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["diffusers", "UNet9DModel"], f"its unet is a UNet9DModel, which diffusers "
                                       f"{diffusers.__version__} does not know"),
        (["my_unet", "MyUNet"], "its unet is a MyUNet of 'my_unet', and not of diffusers"),
        (["os", "system"], "its unet is a system of 'os'"),
        (["diffusers", "logging"], "is not a part of a pipeline"),
        (["diffusers", "ControlNetModel"], "its unet is a ControlNetModel; that of a "
                                           "StableDiffusionPipeline is a UNet2DConditionModel"),
        (["diffusers"], "no pair of names for unet"),
        (["diffusers", 3], "no pair of names for unet"),
        ([], "no pair of names for unet"),
        ([None, None], "has no unet: model_index.json names none"),
        (None, "has no unet: model_index.json names none"),
        ("UNet2DConditionModel", "a string for unet instead of a library and a class"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("load", [load_backbone, load_generator])
def test_parts_of_an_index_that_cannot_be_read(tiny_model, tiny_texts, value, said, load):
    folder = tiny_model("sd15", null=load == load_backbone, **tiny_texts("sd15"))
    edit(folder / "model_index.json", unet=value)
    refused(folder, said, load=load)


def test_an_absent_part_is_named(tiny_model):
    folder = tiny_model("sd15")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    del index["vae"]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    refused(folder, "has no vae")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "model_index.json holds a list instead of an object"),
        ("null", "model_index.json holds null"),
        ("{}", "_class_name is null, and no name"),
        ('{"_class_name": ["pipeline", "My"]}', "code that comes with a model is never run"),
        ('{"_class_name": 3}', "_class_name is a number"),
        ("[" * 100_000, "is not valid JSON (maximum recursion depth"),
    ],
)
def test_an_index_that_is_none(tmp_path, content, said):
    (tmp_path / "model_index.json").write_text(content, encoding="utf-8")
    refused(tmp_path, said, load=open_backbone)


@pytest.mark.parametrize("channels", [8, 9])
def test_models_for_inpainting_and_edits_are_refused_at_loading(tiny_model, channels):
    folder = tiny_model("sd15", in_channels=channels)
    refused(folder, f"its unet takes {channels} channels, but its VAE gives 4")


def test_a_vae_of_more_channels_is_refused_at_loading(tiny_model):
    vae = diffusers.AutoencoderKL(
        latent_channels=16, block_out_channels=(16,), norm_num_groups=8, layers_per_block=1
    )
    refused(tiny_model("sd15", vae=vae), "its unet takes 4 channels, but its VAE gives 16")


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("unet", "layers_per_block", 10**6, "layers_per_block is 1000000; 1000 is the most"),
        ("unet", "block_out_channels", [10**9] * 4, "block_out_channels[0] is 1000000000"),
        ("unet", "cross_attention_dim", 10**9, "cross_attention_dim is 1000000000"),
        ("unet", "down_block_types", ["DownBlock2D"] * 10**5, "down_block_types has 100000"),
        ("unet", "sample_size", 10**9, "sample_size is 1000000000"),
        ("unet", "norm_num_groups", float("nan"), "norm_num_groups is NaN"),
        ("unet", "layers_per_block", -1, "layers_per_block is -1; 0 is the least"),
        ("unet", "block_out_channels", "wide", "config.json does not hold a UNet2DConditionModel"),
        ("unet", "down_block_types", None, "config.json does not hold a UNet2DConditionModel"),
        ("unet", "down_block_types", [], "config.json does not hold a UNet2DConditionModel"),
        ("vae", "layers_per_block", 10**7, "vae/config.json: layers_per_block is 10000000"),
        ("scheduler", "num_train_timesteps", 10**9, "num_train_timesteps is 1000000000"),
    ],
)
def test_configs_of_no_machine_are_refused_before_memory_is_taken(
    tiny_model, part, key, value, said
):
    folder = tiny_model("sd15")
    edit(next((folder / part).glob("*config.json")), **{key: value})
    refused(folder, said)


@pytest.mark.parametrize("content", ["[]", "null", "{", "3", '"x"', "\xff"])
@pytest.mark.parametrize("file", ["unet/config.json", "vae/config.json",
                                  "scheduler/scheduler_config.json"])  # fmt: skip
def test_configs_that_are_none_are_named(tiny_model, file, content):
    folder = tiny_model("sd15")
    (folder / file).write_bytes(content.encode("latin-1"))
    refused(folder, str(folder / file))


@pytest.mark.parametrize("length", [0, 7, 100, -10])
def test_weights_cut_off_are_named(tiny_model, length):
    folder = tiny_model("sd15")
    path, _ = weights_of(folder / "unet")
    path.write_bytes(path.read_bytes()[:length])
    refused(folder, f"{path} is damaged")


def test_the_index_of_shards_reads_no_pickle_and_no_other_folder(tiny_model, tmp_path):
    folder = tiny_model("sd15")
    path, weights = weights_of(folder / "unet")
    path.unlink()
    torch.save(weights, folder / "unet" / "weights.bin")
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    for file in ("weights.bin", "../weights.safetensors", "/etc/passwd", 3):
        index.write_text(
            json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, file)}),
            encoding="utf-8",
        )
        refused(folder, f"{index}: weight_map names {str(file)!r}")
    for broken in ({}, {"weight_map": []}, {"weight_map": {}}):
        index.write_text(json.dumps(broken), encoding="utf-8")
        refused(folder, f"{index} has no weight_map")
    missing = "diffusion_pytorch_model-00001-of-00002.safetensors"
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, missing)}),
        encoding="utf-8",
    )
    refused(folder, f"lacks {missing}, which {index.name} lists")
