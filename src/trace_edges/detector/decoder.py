"""G_phi: from what the denoiser knows on its grid, and the pixels, to edges at every pixel.

The grid says *which* border separates two instances, the pixels say *where* it runs. The decoder
has the shape of a VAE decoder (section 3.4): it doubles the grid until it meets the input, and at
every doubling reads the image at that scale.
"""

from __future__ import annotations

from itertools import pairwise
from math import log, log2
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_EXPECTED_EDGE_SHARE = 0.05  # of pixels: where the untrained output starts


class EdgeDecoder(nn.Module):
    """Features (B, C, h, w) and images (B, 3, H, W) to edge logits (B, H, W).

    Args:
        channels: C, of the features.
        width: channels on the grid; every doubling halves them, down to 16.
        cell: H / h, a power of two.

    Raises:
        ValueError: `cell` is no power of two.
    """

    def __init__(self, channels: int, width: int = 96, cell: int = 8) -> None:
        super().__init__()
        doublings = int(log2(cell))
        if 2**doublings != cell:
            raise ValueError(f"a cell of {cell} px is not a power of two")
        widths = [max(16, width >> level) for level in range(doublings + 1)]  # grid ... pixels
        self.settings: dict[str, Any] = {"channels": channels, "width": width, "cell": cell}
        # Hidden states differ by orders of magnitude between channels; each is normalised alone.
        self.norm = nn.GroupNorm(channels, channels)
        self.enter = nn.Conv2d(channels, width, 1)
        self.mix = nn.ModuleList([ResidualBlock(w) for w in widths])
        self.narrow = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in pairwise(widths)])
        # `look` is a name in the weights of detectors that are saved.
        self.look = nn.ModuleList([_pixel_encoder(w) for w in widths[1:]])
        self.leave = nn.Conv2d(widths[-1], 1, 1)
        odds = _EXPECTED_EDGE_SHARE / (1 - _EXPECTED_EDGE_SHARE)
        nn.init.constant_(self.leave.bias, log(odds))  # type: ignore[arg-type]

    def forward(
        self, features: Float[Tensor, "b c h w"], images: Float[Tensor, "b 3 H W"]
    ) -> Float[Tensor, "b H W"]:
        x = self.mix[0](self.enter(self.norm(features)))
        shrink: int = self.settings["cell"]  # of the image, to the scale of x
        for narrow, encode, mix in zip(self.narrow, self.look, list(self.mix)[1:], strict=True):
            shrink //= 2
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            pixels = F.avg_pool2d(images, shrink)
            x = mix(x + encode(pixels))
        logits: Tensor = self.leave(x)
        return logits[:, 0]  # (B, 1, H, W) -> (B, H, W)


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        change: Tensor = self.inner(x)
        return x + change


def _pixel_encoder(width: int) -> nn.Module:
    """Read the image at one scale: local contrast, where a border shows, and not in a colour."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, width, 3, padding=1)
    )
