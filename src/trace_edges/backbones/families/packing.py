"""2 x 2 latents as the channels of one token, and back, as FLUX, Chroma and Qwen-Image have it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

PATCH = 2


def pack(latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
    """Tokens, row-major; h and w are even."""
    return pixel_unshuffle(latents, PATCH).flatten(2).mT  # (B, N, C * 4)


def unpack(tokens: Float[Tensor, "b n d"], like: Float[Tensor, "b c h w"]) -> Tensor:
    """Latents of the height and width of others."""
    h, w = (side // PATCH for side in like.shape[-2:])
    return pixel_shuffle(tokens.mT.unflatten(2, (h, w)), PATCH)
