"""Timestep, sign, packing and latents of the flow models, against the samplers of diffusers.

A picture that the pipeline of diffusers makes from noise in two steps is the one that our schedule
makes: of the denoiser's output as we call it, and the latents as we take them.
"""

import json
from itertools import pairwise

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import pixel_shuffle

from trace_edges.backbones import load_backbone

SIZE = {"height": 64, "width": 96}
STEPS = [1000, 600, 0]
PLAIN = {"guidance_scale": 1.0}

# What each takes for no guidance.
GUIDANCE = {
    "sd3": PLAIN,
    "flux-dev": PLAIN,
    "flux-schnell": PLAIN,
    "flux2-dev": PLAIN,
    "flux2-klein": PLAIN,
}


def noise_of(pipeline):
    """As the pipeline draws it, but as latents (1, 4, 8, 12)."""
    generator = torch.Generator().manual_seed(0)
    if "Flux2" in type(pipeline).__name__:  # draws 2 x 2 latents as channels
        return pixel_shuffle(torch.randn(1, 16, 4, 6, generator=generator), 2)
    return torch.randn(1, 4, 8, 12, generator=generator)


def sampler(folder):
    index = json.loads((folder / "model_index.json").read_text())
    absent = {name: None for name, part in index.items() if part == [None, None]}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **absent)
    # No shift: its levels are those it is given.
    pipeline.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("family", GUIDANCE)
@torch.no_grad()
def test_a_picture_is_the_one_that_diffusers_samples(tiny_model, family):
    folder = tiny_model(family)
    null = load_file(folder / "null_condition.safetensors")
    pipeline = sampler(folder)
    expected = pipeline(
        **null, **SIZE, **GUIDANCE[family], generator=torch.Generator().manual_seed(0),
        sigmas=[step / 1000 for step in STEPS[:-1]], output_type="np",
    ).images[0]  # fmt: skip

    backbone = load_backbone(folder)
    latents = noise_of(pipeline)
    for step, to in pairwise(STEPS):
        latents = backbone.schedule.move(latents, backbone.predict(latents, step), step, to)
    pixels = backbone.decode(latents)[0].permute(1, 2, 0) / 2 + 0.5
    assert expected.std() > 0.01
    np.testing.assert_allclose(pixels.clamp(0, 1).numpy(), expected, atol=1e-4)
