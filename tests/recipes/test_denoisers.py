"""Both kinds are built from the seed and run on the null condition."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from recipes.trace_mini.autoencoder import build_autoencoder, measure_latents
from recipes.trace_mini.denoisers import KINDS, build_denoiser
from recipes.trace_mini.denoising import train_denoiser
from recipes.trace_mini.images import Batches, Composites

CONFIGS = {
    "PixArtTransformer2DModel": {
        "num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 8
    },
    "UNet2DConditionModel": {
        "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 8, "attention_head_dim": 4,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_the_seed_decides_the_weights(name):
    first, again, other = (
        build_denoiser(name, CONFIGS[name], 4, 8, seed).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_changes_every_kind(name, settings, sprites, tmp_path):
    settings = replace(settings, denoiser=name, config=CONFIGS[name])
    batches = Batches(Composites(sprites[0], settings.scene, 0), None, settings, 2, 0, 3)
    vae = build_autoencoder(settings).requires_grad_(False)
    measure_latents(vae, batches)
    denoiser = build_denoiser(name, settings.config, 4, 8, 0)
    before = {key: value.clone() for key, value in denoiser.state_dict().items()}
    lines = []
    train_denoiser(
        denoiser, vae, batches, lambda step: {"validation_loss": 0.0}, tmp_path, settings, "{}",
        Accelerator(cpu=True), on_step=lines.append,
    )  # fmt: skip
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(0.1 < line["loss"] < 3 for line in lines)  # of noise of unit variance
    after = denoiser.state_dict()
    assert sum(not torch.equal(before[key], after[key]) for key in before) > len(before) / 2


def test_an_unknown_kind_is_refused(settings):
    with pytest.raises(
        ValueError, match="unknown denoiser 'FluxTransformer2DModel'; known: PixArt"
    ):
        replace(settings, denoiser="FluxTransformer2DModel")
    assert set(CONFIGS) == set(KINDS)
