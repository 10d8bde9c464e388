"""Every family on a tiny random model: maps against explicit softmax, output untouched, edges."""

import math
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from trace_edges.attention import AttentionRecorder
from trace_edges.attention.maps import upsample_map
from trace_edges.training_free.pipeline import TraceEdgePipeline

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
IMAGES = torch.from_numpy(PICTURE).permute(2, 0, 1)[None] / 127.5 - 1  # (1, 3, 64, 96)


@dataclass(frozen=True)
class Row:
    """What is known of a tiny model, whose image has 64 x 96 px.

    Attributes:
        cell: in px.
        grids: how many layers have which grid. UNets halve odd sides upwards.
        beside: how many tokens a projection may have beside the image's.
        place: of the image's tokens, where there are others: "first" or "last".
        rotary: of the rotary embedding the widths, the base, and the place of every token of the
            image, of which `r` and `c` are row and column, and `h` and `w` the sides of the grid.
        halves: the two numbers that are turned together lie half a head apart.
        layer_norm: queries and keys are normed by mean and standard deviation.
    """

    cell: int
    grids: dict
    beside: tuple = ()
    place: str = "last"
    rotary: tuple | None = None
    halves: bool = False
    layer_norm: bool = False


_SD = Row(8, {(8, 12): 3, (4, 6): 3, (2, 3): 3, (1, 2): 1})
_FLUX = Row(16, {(4, 6): 4}, (7,),
            rotary=((4, 4, 8), 10000, lambda r, c, h, w: (0 * r, r, c)))  # fmt: skip
_FLUX2 = Row(16, {(4, 6): 4}, (7,),
             rotary=((4, 4, 4, 4), 2000, lambda r, c, h, w: (0 * r, r, c, 0 * r)))  # fmt: skip
FAMILIES = {
    "sd15": _SD,
    "sd21": _SD,
    "sdxl": Row(16, {(4, 6): 3, (2, 3): 8}),
    "pixart": Row(16, {(4, 6): 2}),
    "pixart-sigma": Row(16, {(4, 6): 2}),
    "sd3": Row(16, {(4, 6): 3}),
    "sd3.5-large": Row(16, {(4, 6): 3}),
    "sd3.5-medium": Row(16, {(4, 6): 5}),  # two of the three blocks have a second one
    "flux-dev": _FLUX,
    "flux-schnell": _FLUX,
    "flux2-dev": _FLUX2,
    "flux2-klein": _FLUX2,
    # Counted from the middle.
    "qwen-image": Row(16, {(4, 6): 3}, rotary=(
        (4, 6, 6), 10000, lambda r, c, h, w: (0 * r, r - h // 2, c - w // 2))),
    # With a refiner of the image. Its 24 tokens are filled up to 32, the text's seven too, and the
    # image's places are behind the text's.
    "z-image": Row(16, {(4, 6): 3}, (8, 8 + 32), "first", (
        (4, 6, 6), 256, lambda r, c, h, w: (0 * r + 32 + 1, r, c))),
    "lumina2": Row(16, {(4, 6): 3}, (7,), rotary=(
        (4, 4, 4), 10000, lambda r, c, h, w: (0 * r + 7, r, c))),
    "auraflow": Row(16, {(4, 6): 3}, (8 + 7,), layer_norm=True),  # registers and text
    "chroma": _FLUX,
    # Both sides stretched to 256.
    "cogview4": Row(16, {(4, 6): 2}, (7,), rotary=(
        (8, 8), 10000, lambda r, c, h, w: (r * 256 // h, c * 256 // w)),
        halves=True, layer_norm=True),
    # Laid into a square of 32.
    "hunyuan-dit": Row(16, {(4, 6): 4}, rotary=(
        (4, 4), 10000, lambda r, c, h, w: (c * 32 / w, 6 + r * (27 * 3 / 4 - 6) / 3)),
        layer_norm=True),
}  # fmt: skip
TIMESTEP = 300


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def backbone(tiny_model, family):
    return TraceEdgePipeline.from_pretrained(tiny_model(family)).backbone


def rotated(x, grid, widths, base, places, halves=False):
    """Rotary embedding as the papers of RoPE and FLUX have it; x (heads, N, d)."""
    rows, columns = (part.flatten() for part in np.mgrid[: grid[0], : grid[1]])
    angles = []
    for positions, width in zip(places(rows, columns, *grid), widths, strict=True):
        frequencies = float(base) ** (-np.arange(0, width, 2) / width)
        angles.append(np.outer(positions, frequencies))
    turn = torch.from_numpy(np.exp(1j * np.concatenate(angles, axis=1)))  # (N, d / 2)
    one, other = x.double().chunk(2, dim=-1) if halves else (x.double()[..., i::2] for i in (0, 1))
    turned = torch.complex(one, other) * turn
    if halves:
        return torch.cat([turned.real, turned.imag], dim=-1)
    return torch.view_as_real(turned).flatten(-2)


def normed(x, norm, layer_norm):
    """Of every head: by its root mean square, or by mean and standard deviation."""
    x = x.double()
    if layer_norm:
        x = x - x.mean(-1, keepdim=True)
    x = x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt()
    weight, bias = (getattr(norm, name, None) for name in ("weight", "bias"))
    return x * (1 if weight is None else weight.double()) + (0 if bias is None else bias.double())


def projections(backbone, latents):
    """By layer, the queries and keys (tokens, heads * d) as they leave their projections."""
    projected, handles = {}, []

    def keeper(layer, parts):
        def keep(module, inputs, output):
            projected.update({(layer, name): output[0][:, part] for name, part in parts.items()})

        return keep

    for layer in backbone.layers:
        module = backbone.denoiser.get_submodule(layer)
        width = module.query_dim
        sources = {
            "to_q": {"q": slice(None)},
            "to_k": {"k": slice(None)},
            # The single blocks of FLUX.2 make them in one, with the values and more behind them.
            "to_qkv_mlp_proj": {"q": slice(0, width), "k": slice(width, 2 * width)},
        }
        handles += [
            getattr(module, name).register_forward_hook(keeper(layer, parts))
            for name, parts in sources.items()
            if hasattr(module, name)
        ]
    backbone.predict(latents, TIMESTEP)
    for handle in handles:
        handle.remove()
    return projected


def reference_maps(backbone, latents, row):
    """By layer, softmax(q k^T / sqrt(d)) averaged over heads, from the projections' outputs."""
    projected = projections(backbone, latents)
    maps = {}
    for layer in backbone.layers:
        module = backbone.denoiser.get_submodule(layer)
        grid = grid_of(backbone, layer, latents)
        heads = []
        for what in "qk":
            x = projected[layer, what]
            if (tokens := len(x)) != math.prod(grid):
                assert tokens - math.prod(grid) in row.beside
                x = x[-math.prod(grid) :] if row.place == "last" else x[: math.prod(grid)]
            width = module.query_dim // module.heads
            x = x.reshape(len(x), -1, width).transpose(0, 1)  # (heads, N, d)
            x = x.repeat_interleave(module.heads // len(x), dim=0)  # a key's head may serve several
            norm = getattr(module, f"norm_{what}", None)
            if norm is not None:
                x = normed(x, norm, row.layer_norm)
            if row.rotary is not None:
                x = rotated(x, grid, *row.rotary, halves=row.halves)
            heads.append(x.double())
        logits = heads[0] @ heads[1].transpose(1, 2) / math.sqrt(heads[0].shape[-1])
        maps[layer] = logits.softmax(-1).mean(0)[None]
    return maps


def grid_of(backbone, layer, latents):
    """Without looking at the model: in a UNet the name of a block says how deep it lies."""
    h, w = latents.shape[-2:]
    if backbone.family.denoiser != "unet":
        return h // 2, w // 2
    levels = len(backbone.denoiser.config.down_block_types)
    place = re.match(r"(down|mid|up)_block(?:s\.(\d+))?", layer)
    depth = {"down": lambda n: n, "mid": lambda n: levels - 1, "up": lambda n: levels - 1 - n}
    halvings = depth[place[1]](int(place[2] or 0))
    return math.ceil(h / 2**halvings), math.ceil(w / 2**halvings)


@torch.no_grad()
def test_maps_are_softmax_of_the_projections(backbone, family):
    row = FAMILIES[family]
    latents = backbone.encode(IMAGES)
    expected = reference_maps(backbone, latents, row)
    seen = dict.fromkeys(row.grids, 0)
    for index, layer in enumerate(backbone.layers):
        _, attention, grid = backbone.reading((index,)).attend(latents, TIMESTEP)
        assert grid == grid_of(backbone, layer, latents)
        assert (attention.double() - expected[layer]).abs().max() < 1e-6
        seen[grid] += 1
    assert backbone.cell == row.cell
    assert seen == row.grids

    _, average, finest = backbone.attend(latents, TIMESTEP)
    assert finest == (64 // row.cell, 96 // row.cell)
    torch.testing.assert_close(average.sum(-1), torch.ones(1, finest[0] * finest[1]))
    together = [
        upsample_map(reference.float(), grid_of(backbone, layer, latents), finest)
        for layer, reference in expected.items()
    ]
    assert (average - torch.stack(together).mean(0)).abs().max() < 1e-6


@torch.no_grad()
def test_recording_changes_no_bit_of_the_output(backbone):
    latents = backbone.encode(IMAGES).repeat(2, 1, 1, 1)
    plain = backbone.predict(latents, TIMESTEP)
    recorded, attention, _ = backbone.attend(latents, TIMESTEP)
    assert torch.equal(plain, recorded)
    assert plain.shape == latents.shape
    assert torch.isfinite(attention).all()
    torch.testing.assert_close(attention[0], attention[1])


@torch.no_grad()
def test_the_image_reaches_every_map(backbone):
    """The tokens read are the image's: another image changes the map in all its rows."""
    latents = backbone.encode(IMAGES)
    one, other = (backbone.attend(x, TIMESTEP)[1] for x in (latents, latents.flip(-1)))
    assert ((one - other).abs().amax(-1) > 1e-7).all()


def test_every_self_attention_is_read_and_no_other(backbone, family):
    """A layer asks with the image's tokens; those that ask about the prompt have other keys."""
    expected = [
        name
        for name, module in backbone.denoiser.named_modules()
        if (hasattr(module, "to_q") or hasattr(module, "to_qkv_mlp_proj"))
        and not getattr(module, "is_cross_attention", False)
        and not name.startswith("context_refiner")  # of the text alone
    ]
    assert sorted(backbone.layers) == sorted(expected)  # in which order: test_execution.py
    assert len(expected) == sum(FAMILIES[family].grids.values())
    assert not any(getattr(m, "fused_projections", False) for m in backbone.denoiser.modules())


@pytest.mark.parametrize("trajectory", ["inversion", "noise"])
def test_edges_from_a_picture_that_is_not_square(tiny_model, family, trajectory):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model(family))
    out = pipe(PICTURE[:50], resolution=80, stride=500, trajectory=trajectory)
    assert out.edges.shape == (1, 50, 96)
    assert np.isfinite(out.raw).all()
    cell = FAMILIES[family].cell
    h, w = out.raw.shape[1:]
    assert (h * cell, w * cell) == tuple(out.settings["model_size"])
    last = [0, 500, 1000] if pipe.backbone.schedule.prediction_type == "flow" else [0, 499, 999]
    assert out.emergence.timesteps.tolist() == last


@torch.no_grad()
def test_bfloat16_keeps_rows_that_sum_to_one(tiny_model, family):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model(family), dtype=torch.bfloat16)
    backbone = pipe.backbone
    output, attention, grid = backbone.attend(backbone.encode(IMAGES), TIMESTEP)
    assert output.dtype == attention.dtype == torch.float32
    torch.testing.assert_close(attention.sum(-1), torch.ones(1, grid[0] * grid[1]))


def test_a_layer_is_seen_once_a_pass(backbone):
    with AttentionRecorder(backbone.denoiser, backbone.layers, lambda *_: None) as recorder:
        backbone.predict(backbone.encode(IMAGES), TIMESTEP)
    assert set(recorder.calls.values()) == {1}
