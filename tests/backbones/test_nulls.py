"""The null condition: encoded once by the pipeline's own encoders, kept, not asked for again."""

import io
import json
import sys

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from trace_edges.backbones import BackboneError, load_backbone, prepare_null
from trace_edges.extras import MissingExtraError

PLAIN = {"do_classifier_free_guidance": False}


def embeds_alone(pipeline):
    return {"prompt_embeds": pipeline.encode_prompt("", **PLAIN)[0]}


def embeds_and_mask(pipeline):
    embeds, mask, _, _ = pipeline.encode_prompt("", **PLAIN)
    return {"prompt_embeds": embeds, "prompt_attention_mask": mask}


def embeds_and_pooled(pipeline):
    embeds, _, pooled, _ = pipeline.encode_prompt("", None, None, **PLAIN)
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def of_flux(pipeline):
    embeds, pooled, _ = pipeline.encode_prompt("", None)
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def of_lumina2(pipeline):
    """The first token of what stands for no prompt; its others are padding."""
    _, _, embeds, mask = pipeline.encode_prompt("a")
    assert mask.sum() == 1
    return {"prompt_embeds": embeds[:, :1]}


def of_chroma(pipeline):
    """The end of the text and one token of padding, which its mask lets through."""
    embeds, _, mask = pipeline.encode_prompt("", **PLAIN)[:3]
    assert mask.sum() == 2
    return {"prompt_embeds": embeds[:, :2]}


def of_hunyuan_dit(pipeline):
    null = {}
    for index, end in enumerate(("", "_2")):
        embeds, _, mask, _ = pipeline.encode_prompt("", **PLAIN, text_encoder_index=index)
        null |= {f"prompt_embeds{end}": embeds, f"prompt_attention_mask{end}": mask}
    return null


# What the pipeline itself encodes the empty prompt to, with all its parts loaded.
BY_DIFFUSERS = {
    "sd15": lambda pipeline: {"prompt_embeds": pipeline.encode_prompt("", "cpu", 1, False)[0]},
    "sdxl": embeds_and_pooled,
    "pixart": embeds_and_mask,
    "pixart-sigma": embeds_and_mask,
    "sd3": embeds_and_pooled,
    "flux-dev": of_flux,
    "flux2-dev": lambda pipeline: {"prompt_embeds": pipeline.encode_prompt("")[0]},
    "flux2-klein": lambda pipeline: {"prompt_embeds": pipeline.encode_prompt("")[0]},
    "qwen-image": lambda pipeline: {"prompt_embeds": pipeline.encode_prompt("")[0]},
    "z-image": lambda pipeline: {"prompt_embeds": pipeline.encode_prompt("", **PLAIN)[0][0][None]},
    "lumina2": of_lumina2,
    "auraflow": embeds_alone,
    "chroma": of_chroma,
    "cogview4": embeds_alone,
    "hunyuan-dit": of_hunyuan_dit,
}
NOT_THE_DEFAULT = {"sdxl": "encoded"}


def kept_in(cache):
    return sorted(cache.rglob("*.safetensors"))


def spoil_encoders(folder):
    for weights in folder.glob("text_encoder*/*.safetensors"):
        weights.write_bytes(b"not to be read")


@pytest.mark.parametrize("kind", BY_DIFFUSERS)
def test_it_is_encoded_once_and_the_encoders_not_read_again(
    tiny_model, tiny_texts, own_cache, monkeypatch, kind
):
    folder = tiny_model(kind, null=False, **tiny_texts(kind))
    with torch.no_grad():
        expected = BY_DIFFUSERS[kind](diffusers.DiffusionPipeline.from_pretrained(folder))
    backbone = load_backbone(folder, null=NOT_THE_DEFAULT.get(kind))
    (kept,) = kept_in(own_cache)
    assert kept.name == "encoded-float32.safetensors"
    stored = load_file(kept)
    assert stored.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(stored[name], tensor), name

    latents = torch.randn(1, 4, 8, 12)
    prediction = backbone.predict(latents, 300)
    monkeypatch.setattr("trace_edges.backbones.nulls._encode", None)  # would fail if called
    again = load_backbone(folder, null=NOT_THE_DEFAULT.get(kind))
    # Not equal: how a product of matrices is rounded depends on where they lie in memory.
    torch.testing.assert_close(again.predict(latents, 300), prediction, rtol=1e-5, atol=1e-5)


def test_what_is_kept_spares_the_encoders_until_they_change(tiny_model, tiny_texts, own_cache):
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))
    prepared = prepare_null(folder)
    assert kept_in(own_cache) == [prepared]
    denoisers = list((folder / "unet").glob("*.safetensors"))
    held = [path.rename(path.with_suffix(".away")) for path in denoisers]
    assert prepare_null(folder) == prepared  # the denoiser's weights are not needed for it
    for path in held:
        path.rename(path.with_suffix(".safetensors"))
    load_backbone(folder)
    spoil_encoders(folder)  # other files: what was made from the old ones does not count
    with pytest.raises(BackboneError):
        load_backbone(folder)


def test_every_number_type_has_its_own(tiny_model, tiny_texts, own_cache):
    folder = tiny_model("flux-dev", null=False, **tiny_texts("flux-dev"))
    load_backbone(folder)
    load_backbone(folder, dtype=torch.bfloat16)
    names = [path.name for path in kept_in(own_cache)]
    assert names == ["encoded-bfloat16.safetensors", "encoded-float32.safetensors"]


def test_of_sdxl_zeros_are_the_default_and_need_no_encoder(tiny_model, own_cache):
    folder = tiny_model("sdxl", null=False)
    null = load_backbone(folder)._null
    assert {name: tuple(tensor.shape) for name, tensor in null.items()} == {
        "prompt_embeds": (1, 77, 24),
        "pooled_prompt_embeds": (1, 20),
    }
    assert not any(tensor.any() for tensor in null.values())
    assert prepare_null(folder) is None
    assert not kept_in(own_cache)
    with pytest.raises(BackboneError, match=r"no text encoder .* another null condition \(zeros\)"):
        load_backbone(folder, null="encoded")


def test_sd3_without_t5_has_zeros_in_its_place(tiny_model, tiny_texts):
    whole = load_backbone(tiny_model("sd3", null=False, **tiny_texts("sd3")))._null
    parts = {name: part for name, part in tiny_texts("sd3").items() if not name.endswith("_3")}
    folder = tiny_model("sd3", null=False, folder="no t5", **parts)
    without = load_backbone(folder, null="no-t5")._null
    clip_tokens = 77
    assert whole["prompt_embeds"].shape == (1, 77 + 256, 24)
    assert torch.equal(
        whole["prompt_embeds"][:, :clip_tokens], without["prompt_embeds"][:, :clip_tokens]
    )
    assert torch.equal(whole["pooled_prompt_embeds"], without["pooled_prompt_embeds"])
    assert whole["prompt_embeds"][:, clip_tokens:].any()
    assert not without["prompt_embeds"][:, clip_tokens:].any()
    with pytest.raises(BackboneError, match=r"text_encoder_3 is missing.*\(no-t5\)"):
        load_backbone(folder)


def test_encoders_too_large_for_the_device_say_how(tiny_model, tiny_texts, monkeypatch):
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))

    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(CLIPTextModel, "forward", fail)
    with pytest.raises(BackboneError, match=r"do not fit on cpu: .* --prepare --device cpu"):
        load_backbone(folder)


def test_an_unknown_kind_names_the_known_ones(tiny_model):
    with pytest.raises(BackboneError, match=r"no null condition 'none'; known: zeros, encoded"):
        load_backbone(tiny_model("sdxl"), null="none")


def test_a_damaged_file_is_named(tiny_model, tiny_texts, own_cache):
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))
    kept = prepare_null(folder)
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(BackboneError, match=rf"{kept} is damaged .*: remove it") as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_named(tiny_model, tiny_texts, tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("", encoding="utf-8")
    monkeypatch.setenv("TRACE_EDGES_CACHE", str(tmp_path / "a file"))
    with pytest.raises(BackboneError, match="set TRACE_EDGES_CACHE to a folder"):
        load_backbone(tiny_model("sd15", null=False, **tiny_texts("sd15")))


def test_nothing_half_written_is_left(tiny_model, tiny_texts, own_cache, monkeypatch):
    def interrupted(tensors, path):
        save_file(tensors, path)
        raise KeyboardInterrupt

    monkeypatch.setattr("trace_edges.backbones.nulls.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_null(tiny_model("sd15", null=False, **tiny_texts("sd15")))
    assert not kept_in(own_cache)


def write_spiece(folder):
    """A tokenizer as PixArt's repositories have it: spiece.model, and no tokenizer.json (from
    memory; the reports of "tiktoken" are about it).
    """
    spm = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c two cats and a dog"] * 50), model_writer=model,
        vocab_size=20, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    for file in folder.iterdir():
        file.unlink()
    (folder / "spiece.model").write_bytes(model.getvalue())
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "eos_token": "</s>",
              "pad_token": "<pad>", "unk_token": "<unk>", "model_max_length": 512}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def test_a_tokenizer_of_sentencepiece_is_read(tiny_model, tiny_texts):
    folder = tiny_model("pixart", null=False, **tiny_texts("pixart"))
    write_spiece(folder / "tokenizer")
    assert load_backbone(folder)._null["prompt_attention_mask"].sum() == 1  # the end of the text


@pytest.mark.parametrize("library", ["sentencepiece", "google.protobuf"])
@pytest.mark.parametrize("kind", ["pixart", "hunyuan-dit", "chroma"])
def test_where_sentencepiece_is_missing_the_extra_is_named(
    tiny_model, tiny_texts, monkeypatch, kind, library
):
    folder = tiny_model(kind, null=False, **tiny_texts(kind))
    write_spiece(folder / ("tokenizer_2" if kind == "hunyuan-dit" else "tokenizer"))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r'pip install "trace-edges\[sentencepiece\]"$'):
        load_backbone(folder)
