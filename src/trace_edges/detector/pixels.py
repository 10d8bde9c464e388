"""A student that reads the image alone: what the denoiser knows is in the labels it learnt from.

It costs a fraction of a pass of any denoiser; docs/distillation.md compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trace_edges.backbones.problems import BackboneError, out_of_memory
from trace_edges.detector.decoder import EdgeDecoder, ResidualBlock
from trace_edges.detector.settings import BaseType, StudentSettings

if TYPE_CHECKING:
    from trace_edges.detector.student import Student


class PixelStudent(nn.Module):
    """Images to edge logits, without a diffusion model.

    It has the attributes of `Student`; where these speak of a backbone, it has none.

    Args:
        settings: with `widths`.
    """

    name: None = None
    base: None = None
    trained_in: BaseType = "float32"
    blocks: tuple[str, ...] = ()

    def __init__(self, settings: StudentSettings) -> None:
        super().__init__()
        self.settings, self.cell = settings, 2 ** len(settings.widths)
        self.loaded_with: Mapping[str, Any] = {}
        self.rounded: dict[str, str] = {}
        levels, channels = [], 3
        for width in settings.widths:
            halve = nn.Conv2d(channels, width, 3, stride=2, padding=1)
            levels.append(nn.Sequential(halve, ResidualBlock(width)))
            channels = width
        self.encoder = nn.Sequential(*levels)
        self.decoder = EdgeDecoder(channels, settings.width, self.cell)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.decoder.leave.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Number type of its weights: float32, as every decoder's."""
        return self.decoder.leave.weight.dtype

    def forward(
        self, images: Float[Tensor, "b 3 H W"], features: None = None
    ) -> tuple[Float[Tensor, "b H W"], None]:
        """Edge logits of images in [-1, 1] whose sides are multiples of the cell; a denoiser's
        output there is none.
        """
        images = images.to(self.device)
        return self.decoder(self.encoder(images), images), None

    def check_finite(
        self, logits: Float[Tensor, "b H W"], images: Float[Tensor, "b 3 H W"]
    ) -> None:
        """Raise a BackboneError if there is NaN or infinity in the logits."""
        if not logits.isfinite().all():
            raise BackboneError("the detector computes NaN or infinity: give another one")

    def explained_memory(self, size: tuple[int, int], batch: int) -> AbstractContextManager[None]:
        """Turn running out of memory within into a BackboneError of one line."""
        height, width = size
        return out_of_memory(
            lambda: (
                f"the detector ran out of memory on {self.device} at {height} x {width} px, "
                f"{batch} images a pass: ask for a smaller resolution or batch_size"
            )
        )

    def draw_weights(self) -> None:
        """Draw the first weights."""
        self.load_state_dict(type(self)(self.settings).state_dict())

    def move(self, device: str | torch.device) -> None:
        """Move it."""
        self.to(device)

    def parts(self) -> tuple[nn.Module, ...]:
        """What computes, in its order."""
        return self.encoder, self.decoder

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All weights, by name."""
        return self.named_parameters()


AnyStudent: TypeAlias = Union["Student", PixelStudent]  # the former brings a diffusion model
