"""Parts that several families have in common: autoencoders, packing, empty and chatted prompts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from trace_edges.backbones.checkpoints import Config
from trace_edges.backbones.specs import Null, NullCondition

CROSS_ATTENTION = re.compile(r".*blocks\.\d+\.attn2")  # of UNets and of transformers alike


def vae(channels: int, scaling: float, shift: float | None = None) -> Config:
    """Config of an `AutoencoderKL` of eight pixels a cell."""
    quantised = shift is None  # the later ones have no convolution around the latent
    return {
        "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "latent_channels": channels, "scaling_factor": scaling, "shift_factor": shift,
        "use_quant_conv": quantised, "use_post_quant_conv": quantised,
    }  # fmt: skip


SD_VAE, SDXL_VAE, FLUX_VAE = vae(4, 0.18215), vae(4, 0.13025), vae(16, 0.3611, 0.1159)

# Betas of Stable Diffusion and of what was trained as it was.
SCALED_LINEAR: Config = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "steps_offset": 1, "clip_sample": False,
}  # fmt: skip

TWO_ENCODERS = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
PATCH = 2  # along a side, of the latents that are packed into one token


def run_packed(denoiser: Any, latents: Tensor, timesteps: Tensor, **inputs: Any) -> Tensor:
    """Run a denoiser of flow matching that takes 2 x 2 latents as the channels of one token."""
    tokens = denoiser(hidden_states=pack(latents), timestep=timesteps / 1000, **inputs).sample
    return unpack(tokens, latents)


def pack(latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
    """2 x 2 latents as the channels of one token, row-major; h and w are even."""
    return pixel_unshuffle(latents, PATCH).flatten(2).mT  # (B, N, C * 4)


def unpack(tokens: Float[Tensor, "b n d"], like: Float[Tensor, "b c h w"]) -> Tensor:
    """Latents of the height and width of others."""
    h, w = packed_grid(like)
    return pixel_shuffle(tokens.mT.unflatten(2, (h, w)), PATCH)


def packed_grid(latents: Float[Tensor, "b c h w"]) -> tuple[int, int]:
    """Rows and columns of the tokens that latents are packed into."""
    return latents.shape[-2] // PATCH, latents.shape[-1] // PATCH


def positions(sides: tuple[int, ...], like: Tensor) -> Float[Tensor, "n axes"]:
    """Indices of every token along axes of these lengths, the last index fastest."""
    axes = (torch.arange(side, dtype=torch.float32, device=like.device) for side in sides)
    return torch.cartesian_prod(*axes)


def encoded(
    encode: Callable[[Any, torch.device], NullCondition],
    components: tuple[str, ...] = ("text_encoder", "tokenizer"),
) -> dict[str, Null]:
    """The empty prompt, encoded with these components, as the only null condition."""
    return {"encoded": Null(components, encode)}


def empty_prompt(*names: str, **options: Any) -> Callable[[Any, torch.device], NullCondition]:
    """Encode the empty prompt with these options of the pipeline's `encode_prompt`.

    Args:
        names: of its first outputs, as the denoiser is given them; "" for one that it is not.
    """

    def encode(pipeline: Any, device: torch.device) -> NullCondition:
        found = pipeline.encode_prompt("", device=device, **options)
        return {name: one for name, one in zip(names, found, strict=False) if name}

    return encode


def user_message(pipeline: Any, prompt: str, **options: Any) -> str:
    """The prompt as a user's message in the chat template of the pipeline's language model."""
    messages = [{"role": "user", "content": prompt}]
    return pipeline.tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, **options
    )
