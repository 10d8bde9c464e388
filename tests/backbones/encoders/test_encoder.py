"""Encoders without diffusion: a tiny random model of every class, from the folder of it."""

import importlib.util
import json
import math
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

from trace_edges.backbones import (
    BackboneError,
    fitting,
    load_backbone,
    load_encoder,
    open_backbone,
    sizing,
)
from trace_edges.backbones.encoders.encoder import qwen_order
from trace_edges.backbones.encoders.loading import is_encoder
from trace_edges.backbones.sizing import memory
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32,
         "patch_size": 8, "intermediate_size": 48}  # fmt: skip
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 40,
        "intermediate_size": 32}  # fmt: skip


def _model(name, config, **options):
    return lambda: getattr(transformers, name)(getattr(transformers, config)(**options))


def _llava():
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**SMALL),
        text_config=transformers.LlamaConfig(**TEXT, num_key_value_heads=2),
    )
    return transformers.LlavaForConditionalGeneration(config)


def _qwen():
    vision = {"depth": 3, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32,
              "patch_size": 4, "window_size": 24, "fullatt_block_indexes": [0, 2],
              "out_hidden_size": 16}  # fmt: skip
    rope = {"type": "default", "mrope_section": [1, 1, 2]}
    text = TEXT | {"num_key_value_heads": 2, "rope_scaling": rope}
    config = transformers.Qwen2_5_VLConfig(vision_config=vision, text_config=text)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


KINDS = {
    "vit": _model("ViTModel", "ViTConfig", **SMALL),
    "dinov2": _model("Dinov2Model", "Dinov2Config", mlp_ratio=2, **SMALL),
    "registers": _model(
        "Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", mlp_ratio=2,
        num_register_tokens=4, **SMALL,
    ),
    "dinov3": _model("DINOv3ViTModel", "DINOv3ViTConfig", num_register_tokens=4, **SMALL),
    "clip": _model("CLIPModel", "CLIPConfig", vision_config=SMALL, text_config=TEXT),
    "siglip": _model("SiglipModel", "SiglipConfig", vision_config=SMALL, text_config=TEXT),
    "llava": _llava,
    "qwen": _qwen,
}  # fmt: skip
# Tokens in front of the image's, layers that are read, px of a cell.
EXPECTED = {
    "vit": (1, 2, 8), "dinov2": (1, 2, 8), "registers": (5, 2, 8), "dinov3": (5, 2, 8),
    "clip": (1, 2, 8), "siglip": (0, 2, 8), "llava": (1, 2, 8), "qwen": (0, 2, 4),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def saved(tmp_path):
    """A function that writes the folder of a random model."""

    def write(kind, **options):
        torch.manual_seed(0)
        model = KINDS[kind]()
        with torch.no_grad():  # as after training, no norm is the identity and no bias zero
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
        model.save_pretrained(tmp_path / kind, **options)
        return tmp_path / kind

    return write


def images(count=1, height=32, width=48):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, height, width, generator=generator) * 2 - 1


class Spy:
    """Maps of every attention call, mean over heads, in double precision; (tokens, tokens)."""

    def __init__(self, monkeypatch):
        self.maps = []
        original = torch.nn.functional.scaled_dot_product_attention

        def attend(query, key, value, *rest, **options):
            self.maps.append((query[0].detach().double(), key[0].detach().double()))
            assert options.get("attn_mask") is None
            return original(query, key, value, *rest, **options)

        monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)


def softmax(q, k, places):
    q, k = q[:, places], k[:, places]
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).mean(0)


@torch.no_grad()
def test_maps_are_explicit_softmax_without_the_prefix_random_weights(saved, kind, monkeypatch):
    prefix, layers, cell = EXPECTED[kind]
    encoder = load_encoder(saved(kind))
    assert (encoder.cell, len(encoder.layers)) == (cell, layers)
    h, w = 32 // cell, 48 // cell
    spy = Spy(monkeypatch)
    _, attention, grid = encoder.attend(images())
    assert grid == (h, w)
    seen = [(q, k) for q, k in spy.maps if q.shape[1] == prefix + h * w]
    if kind == "qwen":  # windows of 6 x 6 cells are other calls; its order is that of the next test
        places = qwen_order(encoder.model.config)(h, w)
    else:
        assert len(seen) == len(spy.maps)
        places = torch.arange(prefix, prefix + h * w)
    assert len(seen) == layers
    expected = torch.stack([softmax(q, k, places) for q, k in seen]).mean(0)
    assert (attention[0].double() - expected).abs().max() < 1e-6
    torch.testing.assert_close(attention.sum(-1), torch.ones(1, h * w))
    one = encoder.reading([1]).attend(images())[1]
    assert (one[0].double() - softmax(*seen[1], places)).abs().max() < 1e-6


@torch.no_grad()
def test_recording_changes_no_bit_of_the_output_random_weights(saved, kind):
    encoder = load_encoder(saved(kind))
    plain = torch.cat([encoder.predict(one) for one in images(2).split(1)])
    recorded, attention, _ = encoder.attend(images(2))
    assert torch.equal(encoder.predict(images()), encoder.attend(images())[0])
    torch.testing.assert_close(recorded, plain)
    assert (attention[0] - attention[1]).abs().max() > 1e-5


@torch.no_grad()
def test_a_cell_that_changes_is_seen_at_its_own_place_random_weights(saved, kind):
    """In the first layer, where nothing is mixed yet, its own row and column of logits change."""
    encoder = load_encoder(saved(kind)).reading([0])
    one, other = images(), images()
    cell, row, column = encoder.cell, 2, 5
    other[..., row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] += 1
    before, after = encoder.attend(one)[1][0], encoder.attend(other)[1][0]
    width = 48 // cell
    at = row * width + column
    change = (before - after).abs()
    assert change.sum(1).argmax() == at
    assert change.sum(0).argmax() == at


def test_edges_of_a_picture_that_is_not_square_random_weights(saved, kind):
    pipe = TraceEdgePipeline.from_pretrained(saved(kind))
    out = pipe(PICTURE[:50], resolution=64)
    assert out.edges.shape == (1, 50, 96)
    assert np.isfinite(out.raw).all()
    assert out.raw.max() > 0
    h, w = out.raw.shape[1:]
    assert h < w
    assert [h * pipe.backbone.cell, w * pipe.backbone.cell] == out.settings["model_size"]
    assert out.emergence.timesteps.tolist() == [0]
    assert out.emergence.curve.shape == (1, 0)
    assert out.settings["method"] == "encoder"
    assert out.settings["trajectory"] is None
    assert out.settings["stride"] is None
    assert json.dumps(out.settings)
    native = {"qwen": 448}.get(kind, 32)
    assert pipe.describe(TraceSettings())["resolution"] == native


@torch.no_grad()
def test_qwen_shuffles_its_tokens_as_its_own_code_says_random_weights(saved):
    if not hasattr(qwen, "get_vision_window_index"):
        pytest.skip("this transformers has the order inside of its model")
    model = load_encoder(saved("qwen")).model
    config = model.config
    for h, w in [(8, 12), (14, 6), (6, 6), (2, 26)]:
        index, _ = qwen.get_vision_window_index(
            torch.tensor([[1, h, w]]), spatial_merge_size=2, window_size=config.window_size,
            patch_size=config.patch_size, kwargs={},
        )  # fmt: skip
        # Its processor lists the cells of 2 x 2 groups together, group by group, row by row.
        cells = torch.arange(h * w).reshape(h // 2, 2, w // 2, 2).permute(0, 2, 1, 3).reshape(-1, 4)
        shuffled = cells[index].flatten()  # the cell at each place
        assert torch.equal(shuffled[qwen_order(config)(h, w)], torch.arange(h * w))


@torch.no_grad()
def test_qwen_is_given_what_its_processor_makes_random_weights(saved):
    encoder = load_encoder(saved("qwen"))
    try:
        processor = transformers.Qwen2VLImageProcessorPil(
            patch_size=4, temporal_patch_size=2, merge_size=2, min_pixels=1, max_pixels=10**6
        )
    except ImportError:
        pytest.skip("the processor of this transformers needs torchvision")
    picture = PICTURE[:32, :48]
    made = processor(picture, return_tensors="pt", do_resize=False)
    expected = encoder.model(made["pixel_values"], grid_thw=made["image_grid_thw"])
    given = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1
    found = encoder.predict(given)
    assert (found - expected.last_hidden_state).abs().max() < 1e-4


def test_of_llava_only_the_vision_tower_is_read_random_weights(saved):
    """Also from several files, of which the others need not be there."""
    whole = load_encoder(saved("llava"))
    assert sum(p.numel() for p in whole.model.parameters()) < 30_000
    folder = saved("llava", max_shard_size="1KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))[
        "weight_map"
    ]
    needed = {file for name, file in index.items() if "vision_tower" in name}
    others = set(index.values()) - needed
    assert others
    (folder / "model.safetensors").unlink(missing_ok=True)
    for name in others:
        (folder / name).unlink()
    again = load_encoder(folder)
    assert torch.equal(again.predict(images()), whole.predict(images()))


def test_a_tower_that_lacks_weights_is_refused(saved):
    folder = saved("llava")
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: t for name, t in tensors.items() if "layers.1" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"lacks weights of its vision tower \(first: "):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("option", "value"),
    [("trajectory", "noise"), ("stride", 50), ("timestep", 0), ("seed", 1),
     ("emergence_resolution", 32), ("criterion", "l2"), ("ignore_first", 1)],
)  # fmt: skip
def test_what_only_a_trajectory_has_is_refused(saved, option, value):
    pipe = TraceEdgePipeline.from_pretrained(saved("vit"))
    with pytest.raises(
        ValueError, match=f"makes a single pass without noise: leave out {option[:5]}"
    ):
        pipe(PICTURE, **{option: value})


def test_refined_views_interleave_random_weights(saved):
    pipe = TraceEdgePipeline.from_pretrained(saved("vit"))
    plain, fine = pipe(PICTURE, resolution=64), pipe(PICTURE, resolution=64, subcell=2)
    assert fine.raw.shape[1:] == tuple(2 * side for side in plain.raw.shape[1:])


def test_several_pictures_in_one_pass_random_weights(saved, kind):
    pipe = TraceEdgePipeline.from_pretrained(saved(kind))
    both = pipe([PICTURE, PICTURE[:, ::-1]], resolution=64)
    alone = pipe(PICTURE, resolution=64)
    np.testing.assert_allclose(both.raw[0], alone.raw[0], atol=1e-5)


def test_a_diffusion_folder_is_none_and_an_encoder_is(saved, tiny_model):
    assert is_encoder(saved("dinov2"))
    assert not is_encoder(tiny_model("sd15"))
    assert is_encoder("dinov3-base")
    assert not is_encoder("sd3.5-large")
    with pytest.raises(BackboneError, match="is not a diffusion model: leave null out"):
        open_backbone(saved("dinov2"), null="zeros")


def test_other_kinds_are_refused_in_one_line(tmp_path):
    config = transformers.SwinConfig(embed_dim=12, depths=[1], num_heads=[2], image_size=32)
    transformers.SwinModel(config).save_pretrained(tmp_path)
    with pytest.raises(
        BackboneError, match="model_type is 'swin', whose attention cannot"
    ) as caught:
        open_backbone(tmp_path)
    assert "\n" not in str(caught.value)


def test_offline_a_name_that_is_not_here_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("dinov2-base", "qwen2.5-vl-7b", "nobody/nothing"):
        with pytest.raises(BackboneError, match=f"'{name}'.* is not in the local cache") as caught:
            open_backbone(name, local_files_only=True)
        assert "\n" not in str(caught.value)


def test_a_repository_in_the_cache_is_read_offline(tmp_path, monkeypatch, saved):
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    folder = cache / "models--someone--vit" / "snapshots" / ("0" * 40)
    shutil.copytree(saved("vit"), folder)
    (folder.parent.parent / "refs").mkdir()
    (folder.parent.parent / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    assert is_encoder("someone/vit", local_files_only=True)


def test_bfloat16_keeps_rows_that_sum_to_one_random_weights(saved, kind):
    encoder = load_encoder(saved(kind), dtype=torch.bfloat16)
    assert encoder.dtype == torch.bfloat16
    _, attention, grid = encoder.attend(images())
    torch.testing.assert_close(attention.sum(-1), torch.ones(1, math.prod(grid)))


_TIMM = importlib.util.find_spec("timm") is not None and importlib.util.find_spec("torchvision")


@pytest.fixture(params=[True, False], ids=["one projection", "three projections"])
def eva02(request, tmp_path):
    """The folder of a random EVA02, as timm shares them."""
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(0)
    options = {"img_size": 28, "embed_dim": 48, "depth": 2, "num_heads": 4,
               "qkv_fused": request.param}  # fmt: skip
    model = timm.create_model("eva02_tiny_patch14_224", **options)
    save_for_hf(model, tmp_path / "eva02", {"model_args": options}, safe_serialization=True)
    return tmp_path / "eva02"


@pytest.mark.skipif(not _TIMM, reason="timm needs a torchvision that fits this torch")
@torch.no_grad()
def test_eva02_is_explicit_softmax_and_bit_identical_random_weights(eva02, monkeypatch):
    encoder = load_encoder(eva02)
    assert encoder.cell == 14
    assert len(encoder.layers) == 2
    plain = encoder.predict(images(1, 28, 56))
    spy = Spy(monkeypatch)
    output, attention, grid = encoder.attend(images(1, 28, 56))
    assert torch.equal(output, plain)
    assert grid == (2, 4)
    places = torch.arange(1, 9)  # behind the class token
    expected = torch.stack([softmax(q, k, places) for q, k in spy.maps]).mean(0)
    assert len(spy.maps) == 2
    assert (attention[0].double() - expected).abs().max() < 1e-6


@pytest.mark.skipif(not _TIMM, reason="timm needs a torchvision that fits this torch")
def test_eva02_gives_edges_of_a_picture_that_is_not_square_random_weights(eva02):
    out = TraceEdgePipeline.from_pretrained(eva02)(PICTURE, resolution=112)
    assert out.edges.shape == (1, 64, 96)
    assert out.settings["model_size"] == [98, 140]


@pytest.mark.skipif(_TIMM, reason="timm is here")
def test_without_timm_the_extra_is_named(tmp_path):
    from trace_edges.extras import MissingExtraError

    config = {"architecture": "eva02_tiny_patch14_224", "pretrained_cfg": {}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(MissingExtraError, match=r'pip install "trace-edges\[timm\]"'):
        open_backbone(tmp_path)


@pytest.mark.parametrize("offloaded", [False, True])
def test_out_of_memory_says_which_resolution_would_fit_faked_device(
    saved, kind, monkeypatch, offloaded
):
    """The device is a stand-in: the pass fails, and its memory is what 96 px need."""
    pipe = TraceEdgePipeline.from_pretrained(saved(kind))
    if offloaded:
        pipe.enable_model_cpu_offload("cpu")
    weights = {name: tensor.clone() for name, tensor in pipe.backbone.model.state_dict().items()}
    needed = [memory(sizing.emptied(pipe.backbone), (side, side)) for side in (96, 128)]
    model = pipe.backbone.model
    assert needed[0].weights == sum(t.nbytes for t in [*model.parameters(), *model.buffers()])
    tokens = (96 // pipe.backbone.cell) ** 2
    assert needed[0].peak - needed[0].weights > 4 * tokens**2  # the map is among it
    assert needed[0].peak < needed[1].peak
    halfway = (needed[0].peak + needed[1].peak) // 2
    monkeypatch.setattr(fitting, "available_memory", lambda device: int(halfway / 0.9))

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(pipe, "_read", full)
    with pytest.raises(BackboneError, match=r"at 192 x 192 px .*: a resolution of 64 would fit$"):
        pipe(np.zeros((192, 192, 3), np.uint8), resolution=192)
    monkeypatch.setattr(fitting, "available_memory", lambda device: 1000)
    with pytest.raises(BackboneError, match="its weights alone take"):
        pipe(np.zeros((192, 192, 3), np.uint8), resolution=192)
    for name, tensor in pipe.backbone.model.state_dict().items():
        assert torch.equal(tensor, weights[name])  # where they were


def test_a_name_that_is_like_one_is_asked_about():
    for wrong, meant in {
        "DINOv2": "dinov2-small or dinov2-base or dinov2-large",
        "sd3.5-larg": "sd3.5-large",
        "flux_dev": "flux-dev",
        "trace_mini": "trace-mini",
    }.items():
        with pytest.raises(BackboneError, match=rf"(owner/name).*; did you mean {meant}") as caught:
            open_backbone(wrong)
        assert "`trace-edges backbones` prints" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(BackboneError, match=r"hub id \(owner/name\)$"):
        open_backbone("qwertyuiop")
    with pytest.raises(BackboneError, match=r"'dino' is neither.*did you mean dino-vitb8 or"):
        load_encoder("dino")
    with pytest.raises(BackboneError, match="'dinov2-base' is an encoder: here it must be a diff"):
        load_backbone("dinov2-base")
