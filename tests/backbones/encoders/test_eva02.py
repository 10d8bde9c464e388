"""EVA-02, which timm computes."""

import importlib.util
import json

import pytest
import torch

from trace_edges.backbones import (
    load_encoder,
    open_backbone,
)
from trace_edges.training_free.pipeline import TraceEdgePipeline

from .tiny import PICTURE, Spy, images, softmax

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
