"""A vision transformer in the place of a diffusion model: one pass, no noise, no trajectory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import cpu_offload_with_hook
from jaxtyping import Float, Float32
from torch import Tensor, nn

from trace_edges.attention import AttentionRecorder, Grid, MapAverage
from trace_edges.backbones.common import reading, weights_fingerprint
from trace_edges.backbones.encoders.tower import Tower
from trace_edges.backbones.latents import execution_device
from trace_edges.backbones.schedules import StillSchedule
from trace_edges.backbones.specs import Defaults

Images = Float[Tensor, "b 3 H W"]
Tokens = Float[Tensor, "*batch tokens c"]


class EncoderBackbone:
    """Holds a vision transformer; stands where a `DiffusionBackbone` does. Its latents are images.

    Attributes:
        name: what the user asked for.
        layers: names of the self-attention modules that see the whole image.
        cell: image pixels along a side of one attention token.
        multiple: pixels that the sides of what it sees are multiples of.
        loaded_with: what else its answers depend on, of the ways to load it; recorded in results.
        schedule: of one step, without noise.
        defaults: the resolution it was trained at.
    """

    def __init__(self, name: str, tower: Tower) -> None:
        self.name, self.tower = name, tower
        self.model: nn.Module = tower.model.eval().requires_grad_(False)
        self.layers = list(tower.layers)
        self.cell, self.multiple = tower.cell, tower.multiple
        self.schedule = StillSchedule()
        self.loaded_with: dict[str, str | bool | None] = {}
        self.defaults = Defaults(tower.resolution)

    @property
    def models(self) -> tuple[nn.Module, ...]:
        """All that has weights."""
        return (self.model,)

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return execution_device(self.model)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; softmax and everything after it are float32."""
        return next(self.model.parameters()).dtype

    def to(self, device: str | torch.device) -> EncoderBackbone:
        """Move the weights; returns itself."""
        self.model.to(device)
        return self

    def enable_model_cpu_offload(self, device: str | torch.device = "cuda") -> EncoderBackbone:
        """Keep the weights in the computer's memory, and on `device` only while they run; returns
        itself.
        """
        self.to("cpu")
        cpu_offload_with_hook(self.model, torch.device(device))
        return self

    def fingerprint(self) -> str:
        """Equal for models that give equal maps: of the weights (a sample of each tensor), the
        number type and the kind of device.
        """
        parts = (type(self.model).__name__, self.dtype, self.device.type, *self.layers)
        return weights_fingerprint(parts, self.model.state_dict())

    def reading(self, layers: Sequence[int] | None) -> EncoderBackbone:
        """The same model, with `attend` averaging these of its `layers` only (None: all of them).

        Raises:
            ValueError: there is no such layer.
        """
        return reading(self, layers)

    def encode(self, images: Images) -> Float32[Tensor, "b 3 H W"]:
        """The images themselves, in [-1, 1]: there is no latent."""
        return images.float()

    def predict(self, images: Images, timestep: int = 0) -> Tokens:
        """The model's own output for images in [-1, 1], all tokens, in its own order."""
        tower, device = self.tower, self.device
        mean, std = tower.mean.to(device), tower.std.to(device)
        scaled = ((images.to(device).float() + 1) / 2 - mean) / std
        return tower.run(self.model, scaled.to(self.dtype))

    def attend(
        self, images: Images, timestep: int = 0
    ) -> tuple[Tokens, Float32[Tensor, "b n n"], Grid]:
        """One pass: the model's output, self-attention averaged over heads and layers, its grid.

        Tokens that stand for no cell (class, registers) come first; they are left out before the
        softmax, so that rows sum to 1.

        Args:
            images: in [-1, 1], with sides that are multiples of `multiple`.

        Raises:
            RecorderError: a layer's attention did not pass through SDPA.
        """
        grid = (images.shape[-2] // self.cell, images.shape[-1] // self.cell)
        order = self.tower.order(*grid)
        passes = [images] if self.tower.batched else images.split(1)
        outputs, maps = [], []
        for batch in passes:
            average = MapAverage()

            def add(
                layer: str, q: Tensor, k: Tensor, scale: float, to: MapAverage = average
            ) -> None:
                places = order.to(q.device) + (q.shape[2] - len(order))
                to.add(grid, q[:, :, places], k[:, :, places], scale)

            with AttentionRecorder(self.model, self.layers, add):
                outputs.append(self.predict(batch, timestep))
            maps.append(average.mean()[0])
        return torch.cat(outputs), torch.cat(maps), grid
