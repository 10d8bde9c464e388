"""Vision transformers without diffusion: how each kind is run, and how its self-attention is read.

They stand in the place of a diffusion model, as in the paper's comparison.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from trace_edges.attention import AttentionRecorder, Grid, MapAverage, alone
from trace_edges.backbones.backbone import Backbone, weights_fingerprint
from trace_edges.backbones.schedules import StillSchedule
from trace_edges.backbones.specs import Defaults

# What projects keys, or queries, keys and values at once, in transformers and in timm.
_PROJECTION = re.compile(r"(?:.*\.)?(?:k_proj|key|qkv)")
_KEYS = re.compile(r"(.*\.)?(k_proj|key)")  # its name in transformers 5, and before

Images = Float[Tensor, "b 3 H W"]
Tokens = Float[Tensor, "*batch tokens c"]


@dataclass(frozen=True, eq=False)
class Tower:
    """A vision transformer, ready to be read.

    Attributes:
        model: in evaluation mode.
        mean, std: of the colours in [0, 1] that it was trained with.
        cell: pixels along a side of one token.
        multiple: pixels that the sides of an image are multiples of.
        resolution: along a side, px, that it was trained at.
        layers: full names of the modules whose attention sees the whole image.
        run: (model, normalised images) -> its output.
        order: (h, w) -> places of the image's tokens in the order of the grid, row by row.
        batched: whether images share a pass.
    """

    model: Any
    mean: Float32[Tensor, "3 1 1"]
    std: Float32[Tensor, "3 1 1"]
    cell: int
    multiple: int
    resolution: int
    layers: tuple[str, ...]
    run: Callable[[Any, Images], Tensor]
    order: Callable[[int, int], Int64[Tensor, " n"]]
    batched: bool = True


def attention_layers(model: nn.Module) -> tuple[str, ...]:
    """Full names of the modules that hold self-attention, in the order of the model."""
    names = [name for name, _ in model.named_modules() if _PROJECTION.fullmatch(name)]
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in names))


def run_plain(model: Any, images: Images) -> Tensor:
    """Run a model of transformers: images in, all tokens out, at any size."""
    known = inspect.signature(model.forward).parameters
    # Some models stretch their position embeddings to the image only when asked to.
    stretch = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
    return model(images, **stretch).last_hidden_state


def run_timm(model: Any, images: Images) -> Tensor:
    """Run a model of timm: images in, all tokens out."""
    return model.forward_features(images)


def row_by_row(h: int, w: int) -> Int64[Tensor, " n"]:
    """The order of every transformer that does not shuffle its tokens."""
    return torch.arange(h * w)


def run_qwen(model: Any, images: Images) -> Tensor:
    """Run Qwen2.5-VL on one image: a list of patches, those of 2 x 2 cells together.

    A patch holds the image twice, as two frames.
    """
    cell, merge = model.config.patch_size, model.config.spatial_merge_size
    frames = model.config.temporal_patch_size
    _, c, height, width = images.shape
    h, w = height // cell, width // cell
    patches = images.reshape(c, h // merge, merge, cell, w // merge, merge, cell)
    patches = patches.permute(1, 4, 2, 5, 0, 3, 6)  # (H', W', m, m, C, cell, cell)
    patches = patches.reshape(h * w, c, 1, cell, cell).expand(-1, -1, frames, -1, -1)
    grid = torch.tensor([[1, h, w]], device=images.device)
    return model(patches.flatten(1), grid_thw=grid).last_hidden_state


def qwen_order(config: Any) -> Callable[[int, int], Int64[Tensor, " n"]]:
    """Order in which Qwen2.5-VL keeps its tokens: window by window, in each row by row, groups of
    2 x 2 cells together.
    """
    merge = config.spatial_merge_size
    side = config.window_size // (config.patch_size * merge)  # of a window, in groups

    def order(h: int, w: int) -> Int64[Tensor, " n"]:
        groups_h, groups_w = h // merge, w // merge
        groups = [
            (row // side, column // side, row, column)
            for row in range(groups_h)
            for column in range(groups_w)
        ]
        place = {group[2:]: at for at, group in enumerate(sorted(groups))}
        return torch.tensor(
            [
                place[row // merge, column // merge] * merge**2
                + row % merge * merge
                + column % merge
                for row in range(h)
                for column in range(w)
            ]
        )

    return order


class EncoderBackbone(Backbone):
    """A vision transformer in the place of a diffusion model: one pass, no noise, no trajectory.

    Its latents are the images themselves, and its schedule has one step.
    """

    schedule: StillSchedule

    def __init__(self, name: str, tower: Tower) -> None:
        self.name, self.tower = name, tower
        self.model: nn.Module = tower.model.eval().requires_grad_(False)
        self.layers = list(tower.layers)
        self.cell, self.multiple = tower.cell, tower.multiple
        self.schedule = StillSchedule()
        self.loaded_with = {}
        self.defaults = Defaults(tower.resolution)

    @property
    def models(self) -> tuple[nn.Module, ...]:
        return (self.model,)

    def enable_model_cpu_offload(self, device: str | torch.device = "cuda") -> EncoderBackbone:
        from accelerate import cpu_offload_with_hook

        self.to("cpu")
        cpu_offload_with_hook(self.model, torch.device(device))
        return self

    def fingerprint(self) -> str:
        """Equal for models that give equal maps: of the weights (a sample of each tensor), the
        number type and the kind of device.
        """
        parts = (type(self.model).__name__, self.dtype, self.device.type, *self.layers)
        return weights_fingerprint(parts, self.model.state_dict())

    def encode(self, images: Images) -> Float32[Tensor, "b 3 H W"]:
        """The images themselves, in [-1, 1]: there is no latent."""
        return images.float()

    def predict(self, images: Images, timestep: int = 0) -> Tokens:
        """The model's own output for images in [-1, 1], all tokens, in its own order."""
        tower, device = self.tower, self.device
        mean, std = tower.mean.to(device), tower.std.to(device)
        scaled = ((images.to(device).float() + 1) / 2 - mean) / std
        with alone(self.model):
            return tower.run(self.model, scaled.to(self.dtype))

    @property
    def key_layers(self) -> list[nn.Module]:
        """The key projections of all layers, in the order of the model; none where keys are
        projected together with what else a layer needs.
        """
        return [one for name, one in self.model.named_modules() if _KEYS.fullmatch(name)]

    @torch.inference_mode()
    def keys(self, images: Images) -> Float32[Tensor, "b h w c"]:
        """Keys of the last layer, of all heads, one for each cell: those of DINO set objects apart
        from what is around them (Simeoni et al., LOST, BMVC 2021), as MaskCut and ProMerge read it.

        Tokens that stand for no cell (class, registers) come first, and are left out.

        Args:
            images: in [-1, 1], with sides that are multiples of `cell`.

        Raises:
            ValueError: a side is no multiple of `cell`.
        """
        b, _, height, width = images.shape
        if height % self.cell or width % self.cell:
            raise ValueError(
                f"images of {height} x {width} px do not fill cells of {self.cell} px: resize them"
            )
        found: list[Tensor] = []
        with self.key_layers[-1].register_forward_hook(lambda *seen: found.append(seen[-1])):
            self.predict(images)
        h, w = height // self.cell, width // self.cell
        return found[0][:, -h * w :].float().reshape(b, h, w, -1)

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
