"""Every way to a backbone, what it must then be able to do, and every way that ends in one line."""

import json
from itertools import product
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, PixArtAlphaPipeline
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from trace_edges.backbones import BackboneError, denormalise, encode, load_backbone
from trace_edges.backbones.checkpoints import embedded_folder
from trace_edges.images import load_image, resize_image, to_tensor

NULL = "null_condition.safetensors"
TIMESTEP = 99


def images():
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


def latents(channels=4):
    return torch.randn(2, channels, 8, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def text():
    """A T5 of one layer and a tokenizer of a few pieces, as a PixArt pipeline has them."""
    torch.manual_seed(0)
    pieces = ["<pad>", "</s>", "<unk>", "▁", "a", "b"]
    tokenizer = T5Tokenizer(vocab=[(p, -float(i)) for i, p in enumerate(pieces)], extra_ids=0)
    config = T5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return tokenizer, T5EncoderModel(config).eval()


def refused(source, *problems, **options):
    with pytest.raises(BackboneError) as caught:
        load_backbone(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    for problem in (str(source), *problems):
        assert problem in message


def test_trace_mini_is_what_its_card_says(trace_mini):
    assert trace_mini.name == "trace-mini"
    assert trace_mini.family.name == "pixart"
    assert trace_mini.layers == [f"transformer_blocks.{n}.attn1" for n in range(14)]
    assert trace_mini.cell == 8
    assert (trace_mini.defaults.resolution, trace_mini.defaults.subcell) == (512, 1)
    assert trace_mini.defaults.half_edge == 1.0
    assert trace_mini.schedule.prediction_type == "epsilon"
    assert len(trace_mini.schedule.alphas_cumprod) == 1000
    assert not any(p.requires_grad for p in trace_mini.denoiser.parameters())
    assert not trace_mini.denoiser.training


def test_a_folder_goes_the_same_way(tiny_pixart):
    folder = tiny_pixart()
    backbone = load_backbone(folder)
    assert backbone.name == str(folder)
    assert backbone.layers == ["transformer_blocks.0.attn1", "transformer_blocks.1.attn1"]
    assert backbone.cell == 16
    # Nothing is stored beside it: the resolution is that of its training, 32 latents of 8 px.
    assert (backbone.defaults.resolution, backbone.defaults.subcell) == (256, 1)
    with torch.no_grad():
        output, attention, grid = backbone.attend(backbone.encode(images()), TIMESTEP)
    assert output.shape == (2, 4, 8, 12)
    assert attention.shape == (2, 24, 24)
    assert grid == (4, 6)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 24))


def test_defaults_are_read_from_the_folder(tiny_pixart):
    folder = tiny_pixart()
    (folder / "trace_edges.json").write_text('{"resolution": 512, "subcell": 4}', encoding="utf-8")
    defaults = load_backbone(str(folder)).defaults
    assert (defaults.resolution, defaults.subcell, defaults.half_edge) == (512, 4, None)


@pytest.mark.parametrize("content", ["{", "[]", '{"size": 512}', '{"subcell": 2}', "\xff", "3"])
def test_broken_defaults_are_refused(tiny_pixart, content):
    folder = tiny_pixart()
    (folder / "trace_edges.json").write_bytes(content.encode("latin-1"))
    refused(folder, "trace_edges.json does not hold the defaults of a backbone")


def test_schedulers_of_several_kinds_give_the_same_schedule(tiny_pixart):
    ddim = DDIMScheduler(beta_schedule="linear", prediction_type="v_prediction")
    one = load_backbone(tiny_pixart("dpm")).schedule
    other = load_backbone(tiny_pixart("ddim", scheduler=ddim)).schedule
    assert torch.equal(one.alphas_cumprod, other.alphas_cumprod)
    assert (one.prediction_type, other.prediction_type) == ("epsilon", "v_prediction")


def test_latents_of_an_autoencoder_kl_as_worked_by_hand(tiny_pixart):
    vae = load_backbone(tiny_pixart()).vae
    moments = vae.quant_conv(vae.encoder(images()))  # mean and log variance
    expected = (moments[:, :4] - 0.25) * 0.5  # (z - shift) * scaling
    torch.testing.assert_close(encode(vae, images()), expected)
    torch.testing.assert_close(denormalise(vae, expected), moments[:, :4])


def test_latents_of_flux2_are_normalised_by_what_the_batch_norm_saw(tiny_model):
    backbone = load_backbone(tiny_model("flux2-dev"))
    vae = backbone.vae
    raw = vae.quant_conv(vae.encoder(images()))[:, :4]
    packed = raw.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    mean, variance = (t[:, None, None] for t in (vae.bn.running_mean, vae.bn.running_var))
    expected = (packed - mean) / (variance + 1e-4).sqrt()  # (1, 4 * 2 * 2, h / 2, w / 2)
    latents = backbone.encode(images())
    assert latents.shape == raw.shape
    for index, (channel, row, column) in enumerate(product(range(4), range(2), range(2))):
        found = latents[:, channel, row::2, column::2]
        torch.testing.assert_close(found, expected[:, index], rtol=1e-5, atol=1e-6)


def test_latents_of_qwen_image_are_those_of_a_video_of_one_frame(tiny_model):
    backbone = load_backbone(tiny_model("qwen-image"))
    vae = backbone.vae
    raw = vae.encode(images()[:, :, None]).latent_dist.mode()[:, :, 0]
    mean, std = (torch.tensor(vae.config[f"latents_{name}"]) for name in ("mean", "std"))
    expected = (raw - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(backbone.encode(images()), expected)
    assert backbone.decode(expected).shape == images().shape


def test_latents_of_the_tiny_autoencoder_as_worked_by_hand(trace_mini):
    config = json.loads((embedded_folder() / "vae" / "config.json").read_text(encoding="utf-8"))
    mean = torch.tensor(config["latents_mean"])[:, None, None]
    std = torch.tensor(config["latents_std"])[:, None, None]
    raw = trace_mini.vae.encoder(images())
    expected = (raw - mean) / std  # (z - mean) / std
    torch.testing.assert_close(trace_mini.encode(images()), expected)
    torch.testing.assert_close(denormalise(trace_mini.vae, expected), raw, rtol=1e-4, atol=1e-5)


def test_latents_of_photographs_have_unit_scale(trace_mini):
    """What the mean and std are for; a factor forgotten would show."""
    examples = sorted((Path(__file__).parents[2] / "examples").glob("*.jpg"))
    seen = [to_tensor(resize_image(load_image(path), (128, 128))) for path in examples]
    encoded = trace_mini.encode(torch.stack(seen))
    assert encoded.mean().abs() < 0.3
    assert 0.7 < encoded.std() < 1.3


def test_of_a_learnt_variance_only_the_noise_is_kept(tiny_pixart):
    folder = tiny_pixart()
    backbone, null = load_backbone(folder), load_file(folder / NULL)
    raw = backbone.denoiser(
        latents(),
        timestep=torch.tensor([TIMESTEP, TIMESTEP]),
        encoder_hidden_states=null["prompt_embeds"].expand(2, -1, -1),
        encoder_attention_mask=null["prompt_attention_mask"].expand(2, -1).float(),
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
    ).sample
    assert raw.shape == (2, 8, 8, 12)
    torch.testing.assert_close(backbone.predict(latents(), TIMESTEP), raw[:, :4])


def test_padding_of_the_null_prompt_is_masked(tiny_pixart):
    folder = tiny_pixart()
    before = load_backbone(folder).predict(latents(), TIMESTEP)
    path = folder / NULL
    tensors = load_file(path)
    for token, same in ((1, True), (0, False)):  # the first token is the only real one
        changed = {name: tensor.clone() for name, tensor in tensors.items()}
        changed["prompt_embeds"][:, token] += 10
        save_file(changed, path)
        after = load_backbone(folder).predict(latents(), TIMESTEP)
        assert torch.allclose(after, before, atol=1e-6) is same


def test_timesteps_reach_the_model(trace_mini):
    first, last = (trace_mini.predict(latents(16), timestep) for timestep in (0, 999))
    assert not torch.allclose(first, last, atol=0.1)


def test_models_that_ask_for_the_size_are_told_it_in_pixels(tiny_pixart):
    backbone = load_backbone(tiny_pixart(use_additional_conditions=True))
    told = []
    backbone.denoiser.register_forward_pre_hook(
        lambda module, args, kwargs: told.append(kwargs["added_cond_kwargs"]), with_kwargs=True
    )
    assert backbone.predict(latents(), TIMESTEP).shape == (2, 4, 8, 12)
    [conditions] = told
    assert conditions["resolution"].tolist() == [[64, 96], [64, 96]]
    torch.testing.assert_close(conditions["aspect_ratio"], torch.full((2, 1), 64 / 96))


def test_the_null_prompt_is_encoded_where_there_is_a_text_encoder(tiny_pixart, text):
    folder = tiny_pixart(null=False, text=text)
    pipeline = PixArtAlphaPipeline.from_pretrained(folder)
    embeds, mask, _, _ = pipeline.encode_prompt("", do_classifier_free_guidance=False)
    assert mask.sum() == 1  # the end of the empty text
    assert embeds.shape == (1, 120, 16)
    from_text = load_backbone(folder).predict(latents(), TIMESTEP)

    stored = tiny_pixart("stored", null=False)
    tensors = {"prompt_embeds": embeds, "prompt_attention_mask": mask}
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, stored / NULL)
    assert torch.equal(load_backbone(stored).predict(latents(), TIMESTEP), from_text)


def test_a_stored_null_condition_spares_the_text_encoder(tiny_pixart, text):
    plain = load_backbone(tiny_pixart()).predict(latents(), TIMESTEP)
    folder = tiny_pixart("with text", text=text)
    for weights in (folder / "text_encoder").glob("*.safetensors"):
        weights.write_bytes(b"not to be read")
    torch.testing.assert_close(load_backbone(folder).predict(latents(), TIMESTEP), plain)


def test_weights_come_in_the_type_asked_for(tiny_pixart):
    backbone = load_backbone(tiny_pixart(), dtype=torch.bfloat16)
    assert backbone.dtype == torch.bfloat16
    encoded = backbone.encode(images())
    with torch.no_grad():
        output, attention, _ = backbone.attend(encoded, TIMESTEP)
    assert encoded.dtype == output.dtype == attention.dtype == torch.float32
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 24))


def test_nothing_is_printed(tiny_pixart, capfd):
    load_backbone()
    load_backbone(tiny_pixart())
    assert capfd.readouterr().err == ""


def test_diffusers_bars_and_messages_are_given_back():
    from diffusers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_backbone()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("name", ["trace-maxi", "a/b/c", "no such folder"])
def test_names_that_are_nothing_are_refused(name):
    refused(name, "is neither one of the names that `trace-edges backbones` prints, nor a folder")


def test_a_hub_id_that_is_not_here_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    refused("nobody/nothing", "could not be loaded: ", local_files_only=True)


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    refused(tmp_path, "could not be loaded: ")


def test_other_pipelines_are_refused(tmp_path):
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "AnimateDiffPipeline"}', encoding="utf-8"
    )
    refused(tmp_path, "is a AnimateDiffPipeline", "PixArtAlphaPipeline, PixArtSigmaPipeline")


def test_a_folder_without_the_weights_is_refused(tiny_pixart):
    folder = tiny_pixart()
    next((folder / "transformer").glob("*.safetensors")).unlink()
    refused(folder, "its transformer has no file of weights")


def test_neither_text_encoder_nor_null_condition_is_refused(tiny_pixart):
    refused(tiny_pixart(null=False), "no text encoder", "no null_condition.safetensors")


def test_half_a_null_condition_is_refused(tiny_pixart):
    path = tiny_pixart() / NULL
    save_file({"prompt_embeds": torch.zeros(1, 6, 16)}, path)
    refused(path.parent, f"{path} lacks prompt_attention_mask")
