"""Attention maps of a tiny random encoder of every class."""

import json
import math

import numpy as np
import pytest
import torch
import transformers
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

from trace_edges.backbones import (
    load_encoder,
)
from trace_edges.backbones.encoders.encoder import qwen_order
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings

from .tiny import PICTURE, Spy, images, softmax

# Tokens in front of the image's, layers that are read, px of a cell.
EXPECTED = {
    "vit": (1, 2, 8), "dinov2": (1, 2, 8), "registers": (5, 2, 8), "dinov3": (5, 2, 8),
    "clip": (1, 2, 8), "siglip": (0, 2, 8), "llava": (1, 2, 8), "qwen": (0, 2, 4),
}  # fmt: skip


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


def test_refined_views_interleave_random_weights(saved):
    pipe = TraceEdgePipeline.from_pretrained(saved("vit"))
    plain, fine = pipe(PICTURE, resolution=64), pipe(PICTURE, resolution=64, subcell=2)
    assert fine.raw.shape[1:] == tuple(2 * side for side in plain.raw.shape[1:])


def test_several_pictures_in_one_pass_random_weights(saved, kind):
    pipe = TraceEdgePipeline.from_pretrained(saved(kind))
    both = pipe([PICTURE, PICTURE[:, ::-1]], resolution=64)
    alone = pipe(PICTURE, resolution=64)
    np.testing.assert_allclose(both.raw[0], alone.raw[0], atol=1e-5)


def test_bfloat16_keeps_rows_that_sum_to_one_random_weights(saved, kind):
    encoder = load_encoder(saved(kind), dtype=torch.bfloat16)
    assert encoder.dtype == torch.bfloat16
    _, attention, grid = encoder.attend(images())
    torch.testing.assert_close(attention.sum(-1), torch.ones(1, math.prod(grid)))
