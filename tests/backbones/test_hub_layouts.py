"""Backbones as the hub's cache holds them: by name, by id, by folder, by revision and variant."""

import os

import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file, save_file

from tests.backbones.hub_layouts import (
    COMMIT,
    JUNK,
    LAYOUTS,
    OTHER_COMMIT,
    as_the_hub_has_it,
    change,
    put_in_cache,
    shard,
    weights_of,
)
from tests.backbones.local_hub import local_hub
from trace_edges.backbones import (
    CHECKPOINTS,
    FAMILIES,
    BackboneError,
    load_backbone,
    take_inventory,
)
from trace_edges.extras import MissingExtraError

IN_MAKE_TEST = ("sd15", "sdxl", "pixart-alpha", "sd3.5-large", "flux-schnell")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache of this test alone, and no way to the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def repository(tiny_model, tiny_texts):
    """A function that writes the folder of a repository, by the name of its backbone."""

    def write(name):
        layout = LAYOUTS[name]
        folder = tiny_model(layout.tiny, null=False, **tiny_texts(layout.tiny))
        expected = load_file(next((folder / part_of(name)).glob("*.safetensors")))
        as_the_hub_has_it(folder, layout)
        return folder, expected

    return write


def part_of(name):
    return next(family.denoiser for family in FAMILIES if name in family.checkpoints)


def test_every_backbone_of_the_table_has_a_layout():
    assert set(LAYOUTS) == set(CHECKPOINTS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in IN_MAKE_TEST else pytest.mark.long) for one in LAYOUTS],
)
def test_every_backbone_is_loaded_from_the_cache_of_the_hub(repository, cache, name):
    folder, expected = repository(name)
    snapshot = put_in_cache(folder, cache, CHECKPOINTS[name].hub)
    by_name = load_backbone(name)
    for part, tensor in expected.items():
        assert torch.equal(by_name.denoiser.state_dict()[part], tensor), part
    by_id = load_backbone(CHECKPOINTS[name].hub, revision=COMMIT)
    by_folder = load_backbone(snapshot, local_files_only=True)
    assert len({one.fingerprint() for one in (by_name, by_id, by_folder)}) == 1
    inventory = take_inventory(name)
    assert inventory.is_here
    assert inventory.folder == snapshot
    assert inventory.nulls[inventory.family.default_null]


UNET = "unet/diffusion_pytorch_model.safetensors"
SHARD = "transformer/diffusion_pytorch_model-00002-of-00002.safetensors"
REACH = "it is not in the local cache and HF_HUB_OFFLINE keeps the hub away"


def refused(name, *said, **options):
    with pytest.raises(BackboneError) as caught:
        load_backbone(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    for part in said:
        assert part in message


def without(*parts):
    return lambda name: not name.startswith(parts)


def test_an_empty_cache_is_said_to_be_one(cache):
    refused("sd15", "backbone 'sd15' (stable-diffusion-v1-5/", REACH)


# What is missing, and what must be said of it: an interrupted download leaves any of these.
PARTLY = {
    "all but the index": ("sd15", without("unet", "vae", "text", "tok", "sch"),
                          ("its unet/config.json could not be loaded", REACH)),
    "the weights of the plain variant": ("sd15", lambda n: "unet/diffusion" not in n,
                                         ("its unet has no file of weights",)),
    "a shard": ("sd3.5-large", lambda n: n != SHARD,
                ("transformer lacks diffusion_pytorch_model-00002-of-00002.safetensors, which",)),
    "the index of the shards": (
        "sd3.5-large", lambda n: n != "transformer/diffusion_pytorch_model.safetensors.index.json",
        ("transformer has parts of weights, but no .index.json: fetch it again",)),
    "the scheduler": ("sd15", without("scheduler"), ("it has no scheduler/ in the local cache",)),
    "the tokenizer": ("sd15", without("tokenizer"), ("it has no tokenizer/ in the local cache",)),
    "its words": ("sd15", without("tokenizer/tokenizer.json", "tokenizer/vocab"),
                  ("tokenizer lacks vocab.json: fetch it again",)),
    "the text encoder": ("sd15", without("text_encoder"), ("it has no text_encoder/ in the",)),
    "all but pickles": ("sd15", lambda n: not n.endswith(".safetensors"),
                        ("its text_encoder has only weights that are pickles",)),
}  # fmt: skip


@pytest.mark.parametrize("missing", PARTLY)
def test_a_partial_cache_is_one_line(repository, cache, missing):
    name, only, said = PARTLY[missing]
    snapshot = put_in_cache(repository(name)[0], cache, CHECKPOINTS[name].hub, only=only)
    (snapshot.parents[1] / "blobs" / f"{'ab' * 32}.incomplete").write_bytes(b"the first half")
    refused(name, *said)
    inventory = take_inventory(name)
    here = inventory.is_here and inventory.nulls[inventory.family.default_null]
    assert not here


def test_files_that_are_gone_behind_their_links_are_named(repository, cache):
    """And no other variant is taken in their place."""
    snapshot = put_in_cache(repository("sd15")[0], cache, CHECKPOINTS["sd15"].hub)
    os.unlink((snapshot / UNET).resolve())
    refused("sd15", f"{snapshot / UNET} is a link to nothing: fetch it again")
    refused(snapshot, f"{snapshot / UNET} is a link to nothing: fetch it again")
    assert take_inventory("sd15").components == {"unet": False, "vae": True, "scheduler": True}
    load_backbone("sd15", variant="fp16")
    (snapshot / "vae" / "config.json").unlink()
    (snapshot / "vae" / "config.json").symlink_to("config.json")
    refused("sd15", "its vae/config.json could not be loaded", REACH, variant="fp16")


@pytest.mark.parametrize("content", [OTHER_COMMIT, "", "\0", "../../..", f"{COMMIT}\n"])
def test_a_branch_that_points_to_nothing(repository, cache, content):
    snapshot = put_in_cache(repository("pixart-sigma")[0], cache, CHECKPOINTS["pixart-sigma"].hub)
    (snapshot.parents[1] / "refs" / "main").write_text(content, encoding="utf-8")
    refused("pixart-sigma", "could not be loaded: ")


def test_revisions_are_told_apart(repository, cache):
    folder, expected = repository("pixart-sigma")
    place = CHECKPOINTS["pixart-sigma"].hub
    put_in_cache(folder, cache, place)
    (name, tensor), *_ = expected.items()
    plain = weights_of(folder / "transformer")
    save_file({n: t * 3 for n, t in load_file(plain).items()}, plain, {"format": "pt"})
    put_in_cache(folder, cache, place, OTHER_COMMIT, refs=("refs/pr/7",))
    for revision, times in ((None, 1), (COMMIT, 1), (OTHER_COMMIT, 3), ("refs/pr/7", 3)):
        found = load_backbone("pixart-sigma", revision=revision).denoiser.state_dict()[name]
        assert torch.equal(found, tensor * times)
    refused(place, "revision 'v2' could not be loaded", REACH, revision="v2")
    refused(place, "revision '../main' could not be loaded", revision="../main")


def test_variants_are_told_apart(repository, cache):
    """The fp16 files of this layout hold rounded weights, those of `non_ema` doubled ones."""
    folder, expected = repository("sd15")
    put_in_cache(folder, cache, CHECKPOINTS["sd15"].hub)
    (name, tensor), *_ = expected.items()
    for variant, right in (
        (None, tensor),
        ("fp16", tensor.half().float()),
        ("non_ema", tensor * 2),
    ):
        found = load_backbone("sd15", variant=variant).denoiser.state_dict()[name]
        assert torch.equal(found, right)
    refused("sd15", "its unet has no variant 'bf16'; it has plain weights, 'fp16', 'non_ema'",
            variant="bf16")  # fmt: skip


@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_the_variant_that_is_there_is_taken(repository, cache, variant):
    """In several files, as large models have it, and of some of the parts alone."""
    folder, _ = repository("sdxl")
    unet = weights_of(folder / "unet")
    for other in (folder / "unet").glob("*.fp16.safetensors"):
        other.unlink()
    tensors = load_file(unet)
    save_file(tensors, unet.with_suffix(f".{variant}.safetensors"), {"format": "pt"})
    shard(folder / "unet", variant)
    unet.unlink()
    put_in_cache(folder, cache, CHECKPOINTS["sdxl"].hub)
    for asked in (None, variant):
        found = load_backbone("sdxl", variant=asked).denoiser.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    refused("sdxl", f"has no variant 'fp32'; it has {variant!r}", variant="fp32")


_NF4 = {"_load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "load_in_4bit": True,
        "quant_method": "bitsandbytes"}  # fmt: skip


def test_weights_in_four_bits_name_their_library(repository, cache):
    """As a copy of FLUX.1-schnell that people share has them [copy]."""
    folder, _ = repository("flux-schnell")
    change(folder / "transformer" / "config.json", {"quantization_config": _NF4})
    put_in_cache(folder, cache, CHECKPOINTS["flux-schnell"].hub)
    with pytest.raises(MissingExtraError, match=r'bitsandbytes .*pip install "trace-edges\[quant'):
        load_backbone("flux-schnell")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this machine, and an empty cache."""
    with local_hub() as running:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.address)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            running.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield running


def test_only_what_is_needed_is_fetched_and_only_once(repository, hub):
    """Of SDXL, whose null condition needs no encoder: three configs and two files of weights."""
    folder, expected = repository("sdxl")
    hub.add(CHECKPOINTS["sdxl"].hub, folder, COMMIT)
    found = load_backbone("sdxl").denoiser.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert sorted(hub.fetched) == [
        "model_index.json", "scheduler/scheduler_config.json", "unet/config.json", UNET,
        "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    hub.fetched.clear()
    load_backbone("sdxl")
    assert hub.fetched == []
    load_backbone("sdxl", variant="fp16")
    assert sorted(hub.fetched) == [
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]
    assert take_inventory("sdxl").is_here


def test_what_the_hub_refuses_is_one_line(repository, hub):
    folder, _ = repository("sdxl")
    hub.add("some/model", folder, COMMIT)
    refused("some/model", "it has no such revision: give a branch", revision="v9")
    refused("some/other", "the hub knows no such repository")
    for file in (folder / "unet").glob("*.safetensors"):
        file.unlink()
    refused("some/model", "its unet has only weights that are pickles (")
    hub.gated.add("some/model")
    refused("some/model", "it is gated: accept its licence", revision=COMMIT)


def test_repositories_of_other_things_say_what_to_give(tmp_path, hub):
    """A LoRA, a file for another program, one part of a pipeline: often given by mistake."""
    for name, file, said in (
        ("some/lora", "pytorch_lora_weights.safetensors", "is a LoRA alone: put it on its model"),
        ("some/adapter", "adapter_config.json", "is a LoRA alone"),
        ("some/gguf", "flux1-dev-Q4_0.gguf", "weights are quantised for another program (flux1-"),
        ("some/file", "juggernaut.safetensors", "if juggernaut.safetensors is the whole model"),
        ("some/vae", "config.json", "one part of a pipeline, give the folder of the whole"),
        ("some/words", "README.md", "give a pipeline in diffusers' format"),
    ):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / file).write_bytes(JUNK)
        hub.add(name, folder, COMMIT)
        for place in (name, folder):
            refused(place, "it has no model_index.json; ", said)


def test_a_hub_that_breaks_off_is_one_line_faked_answer(cache, monkeypatch):
    """httpx's own errors, which are no OSErrors, and of a library that changes its name."""
    (kind,) = (one for one in HfHubHTTPError.__bases__ if not issubclass(one, OSError))

    def fake_download(*_, **__):
        raise kind("Server disconnected without sending a response.")

    monkeypatch.setattr("trace_edges.backbones.sources.hf_hub_download", fake_download)
    refused("sdxl", "could not be loaded: Server disconnected")
