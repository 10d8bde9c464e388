"""The recorder sees exactly what enters the softmax, and the model does not notice."""

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor

from tests.attention.shared import hooks_of
from trace_edges.attention import AttentionRecorder, MapAverage, RecorderError
from trace_edges.backbones import load_backbone

TIMESTEP = 99
LAYERS = ["transformer_blocks.0.attn1", "transformer_blocks.1.attn1"]


def ignore(name, q, k, scale):
    pass


@pytest.fixture(params=["trace-mini", "tiny PixArt"])
def backbone(request, tiny_pixart):
    if request.param == "trace-mini":
        return request.getfixturevalue("trace_mini")
    return load_backbone(tiny_pixart())


@pytest.fixture
def tiny(tiny_pixart):
    return load_backbone(tiny_pixart())


def latents_for(backbone):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, backbone.denoiser.config.in_channels, 8, 12, generator=generator)


def projected_map(layer, hidden):
    """softmax(q k^T / sqrt(d)) of the hidden states that enter a layer, mean over heads."""

    def heads(x):
        return x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)  # (B, heads, N, d)

    q, k = heads(layer.to_q(hidden)).double(), heads(layer.to_k(hidden)).double()
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1).mean(dim=1)


def test_recorded_maps_are_the_softmax_of_the_projections(backbone):
    expected = {}

    def keep(name):
        def hook(layer, args, kwargs):
            hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
            expected[name] = projected_map(layer, hidden)

        return hook

    modules = dict(backbone.denoiser.named_modules())
    handles = [
        modules[name].register_forward_pre_hook(keep(name), with_kwargs=True)
        for name in backbone.layers
    ]
    with torch.no_grad():
        _, attention, grid = backbone.attend(latents_for(backbone), TIMESTEP)
    for handle in handles:
        handle.remove()
    patch = backbone.denoiser.config.patch_size
    assert grid == (8 // patch, 12 // patch)
    assert len(expected) == len(backbone.layers) >= 2
    mean = sum(expected.values()) / len(expected)
    torch.testing.assert_close(attention.double(), mean, rtol=0, atol=1e-6)


def test_output_is_bit_identical_while_recording(backbone):
    latents = latents_for(backbone)
    with torch.no_grad():
        alone = backbone.predict(latents, TIMESTEP)
        recorded, _, _ = backbone.attend(latents, TIMESTEP)
        after = backbone.predict(latents, TIMESTEP)
    assert torch.equal(recorded, alone)
    assert torch.equal(after, alone)


def test_each_layer_is_seen_once_under_its_name(tiny):
    seen = []
    with AttentionRecorder(tiny.denoiser, LAYERS, lambda name, q, k, scale: seen.append(name)) as r:
        tiny.predict(latents_for(tiny), TIMESTEP)
    assert seen == LAYERS
    assert r.calls == dict.fromkeys(LAYERS, 1)


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["model", "sink"])
def test_nothing_is_left_behind_after_an_exception(tiny, kind, place):
    latents = latents_for(tiny)
    before = tiny.predict(latents, TIMESTEP)
    calls = []

    def sink(name, q, k, scale):
        calls.append(name)
        if place == "sink":
            raise kind("planted")

    def fail(module, args):
        raise kind("planted")

    layer = dict(tiny.denoiser.named_modules())[f"{LAYERS[0]}.to_out"]
    handle = layer[0].register_forward_pre_hook(fail) if place == "model" else None
    with pytest.raises(kind, match="planted"), AttentionRecorder(tiny.denoiser, LAYERS, sink):
        tiny.predict(latents, TIMESTEP)
    if handle is not None:
        handle.remove()
    assert calls == LAYERS[:1]
    assert hooks_of(tiny.denoiser) == 0
    one = torch.ones(1, 1, 1, 1)
    F.scaled_dot_product_attention(one, one, one)  # a listener left on the stack would hear it
    assert torch.equal(tiny.predict(latents, TIMESTEP), before)
    assert calls == LAYERS[:1]


@pytest.mark.parametrize("bypassing", [LAYERS[1:], LAYERS])
def test_layers_that_bypass_sdpa_are_named(tiny, bypassing):
    modules = dict(tiny.denoiser.named_modules())
    for name in bypassing:
        modules[name].set_processor(AttnProcessor())
    with pytest.raises(RecorderError) as caught:
        tiny.attend(latents_for(tiny), TIMESTEP)
    message = str(caught.value)
    assert f"{len(bypassing)} of 2 self-attention layers" in message
    assert f"(first: {bypassing[0]!r})" in message
    assert "\n" not in message


def test_a_selection_that_fits_nothing_is_refused(tiny):
    with pytest.raises(RecorderError, match=r"has no module 'transformer_blocks\.9\.attn1'"):
        AttentionRecorder(tiny.denoiser, [LAYERS[0], "transformer_blocks.9.attn1"], ignore)
    with pytest.raises(RecorderError, match="no self-attention module was selected"):
        AttentionRecorder(tiny.denoiser, [], ignore)


def test_an_empty_recording_is_refused(tiny):
    with (
        pytest.raises(RecorderError, match="2 of 2"),
        AttentionRecorder(tiny.denoiser, LAYERS, ignore),
    ):
        pass


class GroupedAttention(torch.nn.Module):
    """Six query heads share two key heads; the scale is given, not derived."""

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, key=k, value=v, scale=0.3, enable_gqa=True)


def test_grouped_queries_get_the_key_head_they_share():
    q, k, v = torch.randn(1, 6, 4, 8), torch.randn(1, 2, 4, 8), torch.randn(1, 2, 4, 8)
    model, recorded = torch.nn.ModuleDict({"a": GroupedAttention()}), []
    with AttentionRecorder(model, ["a"], lambda *call: recorded.append(call)):
        output = model["a"](q, k, v)
    [(_, seen_q, seen_k, scale)] = recorded
    assert torch.equal(seen_q, q)
    assert scale == 0.3
    for head in range(6):
        assert torch.equal(seen_k[:, head], k[:, head // 3])
        mixed = torch.softmax(seen_q[:, head] @ seen_k[:, head].mT * scale, -1) @ v[:, head // 3]
        torch.testing.assert_close(output[:, head], mixed)
    average = MapAverage()
    average.add((2, 2), seen_q, seen_k, scale)
    torch.testing.assert_close(average.mean()[0].sum(-1), torch.ones(1, 4))


@pytest.mark.parametrize("tokens", [2, 6])
def test_heads_are_counted_not_tokens(tokens):
    """As many tokens as there are key heads, or query heads, change nothing."""
    q, k, v = (torch.randn(1, heads, tokens, 8) for heads in (6, 2, 2))
    model, recorded = torch.nn.ModuleDict({"a": GroupedAttention()}), []
    with AttentionRecorder(model, ["a"], lambda name, q, k, scale: recorded.append(k)):
        model["a"](q, k, v)
    assert torch.equal(recorded[0], k[:, [0, 0, 0, 1, 1, 1]])


def test_maps_carry_no_gradient():
    q = torch.randn(1, 2, 4, 8, requires_grad=True)
    model, average = torch.nn.ModuleDict({"a": GroupedAttention()}), MapAverage()
    with AttentionRecorder(model, ["a"], lambda _, q, k, scale: average.add((2, 2), q, k, scale)):
        output = model["a"](q, q, q)
    assert output.requires_grad
    assert not average.mean()[0].requires_grad
