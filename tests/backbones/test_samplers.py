"""Timestep, sign, packing and latents of the late models, against the samplers of diffusers.

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


def plain(null):
    return null | {"guidance_scale": 1.0}


def with_mask(null):
    """Of pipelines that want a mask, which the family leaves out: nothing is hidden."""
    return plain(null) | {"prompt_attention_mask": torch.ones(1, 7, dtype=torch.int64)}


# How each is told the null condition, and no guidance.
ARGUMENTS = {
    "sd3": plain,
    "flux-dev": plain,
    "flux-schnell": plain,
    "flux2-dev": plain,
    "flux2-klein": plain,
    "qwen-image": lambda null: null | {"true_cfg_scale": 1.0},
    "z-image": lambda null: {"prompt_embeds": [null["prompt_embeds"][0]], "guidance_scale": 0.0},
    "lumina2": with_mask,
    "auraflow": with_mask,
    "chroma": lambda null: plain(null) | {"prompt_attention_mask": torch.ones(1, 7)},
    "cogview4": lambda null: plain(null) | {"timesteps": STEPS[:-1]},
}


def noise_of(pipeline):
    """As the pipeline draws it, but as latents (1, 4, 8, 12)."""
    generator = torch.Generator().manual_seed(0)
    if "Flux2" in type(pipeline).__name__:  # draws 2 x 2 latents as channels
        return pixel_shuffle(torch.randn(1, 16, 4, 6, generator=generator), 2)
    return torch.randn(1, 4, 8, 12, generator=generator)


def sampler(folder):
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    absent = {name: None for name, part in index.items() if part == [None, None]}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **absent)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def picture(backbone, latents, steps):
    """Down these steps and through the autoencoder, in [0, 1]."""
    for step, to in pairwise(steps):
        latents = backbone.schedule.move(latents, backbone.predict(latents, step), step, to)
    return (backbone.decode(latents)[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1).numpy()


@pytest.mark.parametrize("family", ARGUMENTS)
@torch.no_grad()
def test_a_picture_is_the_one_that_diffusers_samples(tiny_model, family):
    folder = tiny_model(family)
    null = load_file(folder / "null_condition.safetensors")
    pipeline = sampler(folder)
    # No shift: its levels are those it is given.
    pipeline.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0)
    expected = pipeline(
        **ARGUMENTS[family](null), **SIZE, generator=torch.Generator().manual_seed(0),
        sigmas=[step / 1000 for step in STEPS[:-1]], output_type="np",
    ).images[0]  # fmt: skip

    assert expected.std() > 0.01
    found = picture(load_backbone(folder), noise_of(pipeline), STEPS)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("style", [True, False])  # of version 1.0 and 1.1, and of 1.2
@torch.no_grad()
def test_hunyuan_dit_predicts_what_diffusers_samples_with(tiny_model, style):
    folder = tiny_model("hunyuan-dit", use_style_cond_and_image_meta_size=style)
    null = load_file(folder / "null_condition.safetensors")
    pipeline = sampler(folder)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="trailing", set_alpha_to_one=False,
        steps_offset=0,
    )  # fmt: skip
    expected = pipeline(
        **null, **SIZE, guidance_scale=1.0, num_inference_steps=2, original_size=(64, 96),
        use_resolution_binning=False, generator=torch.Generator().manual_seed(0), output_type="np",
    ).images[0]  # fmt: skip
    assert pipeline.scheduler.timesteps.tolist() == [999, 499]
    assert expected.std() > 0.01
    found = picture(load_backbone(folder), noise_of(pipeline), [999, 499, 0])
    np.testing.assert_allclose(found, expected, atol=1e-4)
