"""Which layers a backbone reads, and what tells two backbones apart."""

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.training_free.pipeline import TraceEdgePipeline


def test_a_choice_of_layers_leaves_the_model_as_it_is(trace_mini):
    every = list(trace_mini.layers)
    chosen = trace_mini.reading((4, 1))
    assert chosen.layers == [every[4], every[1]]
    assert trace_mini.layers == every
    assert chosen.denoiser is trace_mini.denoiser
    assert trace_mini.reading(None) is trace_mini


@pytest.mark.parametrize("index", [14, -1])
def test_a_layer_that_is_not_there_is_refused(trace_mini, index):
    with pytest.raises(ValueError, match=rf"no layer {index}; .* layers are 0 \.\. 13"):
        trace_mini.reading((0, index))


def test_the_fingerprint_of_trace_mini_is_the_one_its_detector_was_trained_on(trace_mini):
    assert trace_mini.fingerprint() == "da84f0fd705a33227eccdb3880710383"


def test_a_fingerprint_is_of_the_weights_not_of_the_name(tiny_pixart):
    first, second = load_backbone(tiny_pixart("one")), load_backbone(tiny_pixart("two"))
    assert first.name != second.name
    assert first.fingerprint() == second.fingerprint()  # the folders are written with one seed


@pytest.mark.parametrize("part", ["denoiser", "vae", "null", "dtype", "tiles"])
def test_whatever_changes_the_maps_changes_the_fingerprint(tiny_pixart, part):
    backbone = load_backbone(tiny_pixart())
    before = backbone.fingerprint()
    if part == "null":
        backbone._null["prompt_embeds"].add_(1)
    elif part == "dtype":
        backbone.denoiser.to(torch.bfloat16)
    elif part == "tiles":
        TraceEdgePipeline(backbone).enable_vae_tiling()
    else:
        with torch.no_grad():
            next(getattr(backbone, part).parameters()).mul_(1.01)
    assert backbone.fingerprint() != before
