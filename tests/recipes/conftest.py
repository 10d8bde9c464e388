"""The smallest run that is one."""

import pytest

from recipes.trace_mini import PretrainingSettings
from recipes.trace_mini.composites import load_sprites
from trace_edges.training import Stage


@pytest.fixture
def settings():
    return PretrainingSettings(
        resolution=32,
        vae={
            "encoder_block_out_channels": (8, 8, 8), "decoder_block_out_channels": (8, 8, 8),
            "num_encoder_blocks": (1, 1, 1), "num_decoder_blocks": (1, 1, 1),
            "latent_channels": 4,
        },
        config={"num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 8},
        autoencoder=Stage(2, 3, 1e-3, warm_up=1, validate_every=2, save_every=2),
        training=Stage(2, 4, 1e-3, warm_up=1, validate_every=3, save_every=3),
        objects=(1, 2), size=(0.4, 0.8), scenes=4, check_scenes=2,
    )  # fmt: skip


@pytest.fixture(scope="session")
def sprites():
    """(to learn from, held out)"""
    found = load_sprites()
    names = list(found)[:6]
    return {n: found[n] for n in names[:4]}, {n: found[n] for n in names[4:]}
