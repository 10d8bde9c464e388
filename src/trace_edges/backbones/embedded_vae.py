"""The autoencoder of the embedded model in plain PyTorch; why, `embedded.py` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Fields(dict[str, Any]):
    """A dictionary whose entries are attributes too, as configs and outputs of diffusers are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Autoencoder(nn.Module):
    """TAESD: small convolutions, without a distribution.

    Args:
        config: of diffusers' `AutoencoderTiny`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = Fields(config)
        width, latent = config["encoder_block_out_channels"][0], config["latent_channels"]
        self.encoder = _Encoder(width, latent, config["num_encoder_blocks"])
        self.decoder = _Decoder(width, latent, config["num_decoder_blocks"])

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Autoencoder:
        return cls(config)

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Fields:
        return Fields(latents=self.encoder(images))

    def decode(self, latents: Float[Tensor, "b c h w"]) -> Fields:
        return Fields(sample=self.decoder(latents))


class _Encoder(nn.Module):
    def __init__(self, width: int, latent: int, blocks: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, count in enumerate(blocks):
            enter = nn.Conv2d(3, width, 3, padding=1)
            halve = nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False)
            layers += [halve if level else enter, *(_Residual(width) for _ in range(count))]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, latent, 3, padding=1))

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        if images.device.type == "cpu":  # where the order of channels saves a quarter of the time
            images = images.contiguous(memory_format=torch.channels_last)
        latents: Tensor = self.layers(images.add(1).div(2))
        return latents.contiguous()


class _Decoder(nn.Module):
    def __init__(self, width: int, latent: int, blocks: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(latent, width, 3, padding=1), nn.ReLU()]
        for count in blocks[:-1]:
            layers += [*(_Residual(width) for _ in range(count)), nn.Upsample(scale_factor=2),
                       nn.Conv2d(width, width, 3, padding=1, bias=False)]  # fmt: skip
        layers += [_Residual(width) for _ in range(blocks[-1])]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 H W"]:
        images: Tensor = self.layers(torch.tanh(latents / 3) * 3)
        return images.mul(2).sub(1)


class _Residual(nn.Module):
    """Three convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(self.conv(x) + x)
