"""The student: one pass of a denoiser, at t = 0, and a decoder that turns it into edges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from trace_edges.attention.maps import Grid
from trace_edges.backbones import DiffusionBackbone
from trace_edges.backbones.fitting import explained_memory
from trace_edges.detector.decoder import EdgeDecoder
from trace_edges.detector.settings import BaseType, StudentSettings
from trace_edges.extras import require
from trace_edges.training_free.divergence import MINIMUM_PROBABILITY

# Of queries, keys, values and output; the last one is all that FLUX.2's single blocks have of the
# first three, in one with the way into the MLP.
_PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj")


class Student(nn.Module):
    """Images to edge logits in one pass of the denoiser.

    Attributes:
        cell: px of the image to a cell of the denoiser's grid.
        base: fingerprint of the backbone that it is trained on.
        trained_in: number type that this backbone's weights have in training.
        rounded: fingerprints of these weights in half precision, if they were float32.

    Args:
        backbone: stays frozen; with a `rank` above 0 its denoiser is given LoRA layers.
        settings: see `StudentSettings`.
        base: fingerprint of the backbone, where it is known already.

    Raises:
        ValueError: the denoiser has no such block.
        MissingExtraError: a `rank` is asked for and peft is not installed.
    """

    def __init__(
        self, backbone: DiffusionBackbone, settings: StudentSettings, base: str | None = None
    ) -> None:
        super().__init__()
        self.settings, self.backbone = settings, backbone
        self.cell = backbone.cell * settings.reduction
        names = backbone.blocks
        if wrong := [index for index in settings.blocks if not -len(names) <= index < len(names)]:
            raise ValueError(
                f"{backbone.name} has no block {wrong[0]}: its blocks are 0 .. {len(names) - 1}"
            )
        self.blocks = [names[index] for index in settings.blocks]
        # Before there is anything of ours in it; on any device, since that may be another later.
        self.base = base or backbone.fingerprint("cpu")
        self.trained_in: BaseType = cast(BaseType, str(backbone.dtype).removeprefix("torch."))
        self.rounded = {} if base else _rounded(backbone)
        channels = sum(_width(backbone, name) for name in self.blocks)
        channels += 2 * backbone.channels * backbone.patch**2
        channels += (2 * settings.attention + 1) ** 2 if settings.attention else 0
        if settings.rank:
            add_lora(backbone, settings.rank)
        self.decoder = EdgeDecoder(channels, settings.width, self.cell)
        self.decoder.to(backbone.device, torch.float32)  # whatever the default is
        self.denoiser = backbone.denoiser  # a submodule, so that its LoRA is trained and moved

    @property
    def name(self) -> str:
        """Of the backbone."""
        return self.backbone.name

    @property
    def device(self) -> torch.device:
        """Where the backbone is."""
        return self.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the backbone's weights."""
        return self.backbone.dtype

    @property
    def loaded_with(self) -> Mapping[str, Any]:
        """How the backbone was loaded."""
        return self.backbone.loaded_with

    @property
    def fixed_features(self) -> bool:
        """What the decoder reads of a crop never changes, since the denoiser does not."""
        return not self.settings.rank

    def forward(
        self, images: Float[Tensor, "b 3 H W"], features: Float[Tensor, "b c h w"] | None = None
    ) -> tuple[Float[Tensor, "b H W"], Float32[Tensor, "b z lh lw"] | None]:
        """Edge logits of images in [-1, 1] whose sides are multiples of the cell, and the
        denoiser's output, which is not computed where the `features` are at hand.
        """
        output = None
        if features is None:
            features, output = self.features(images)
        return self.decoder(features.to(self.device), images.to(self.device)), output

    def features(
        self, images: Float[Tensor, "b 3 H W"]
    ) -> tuple[Float32[Tensor, "b c h w"], Float32[Tensor, "b z lh lw"]]:
        """Read what the decoder is given (hidden states, attention, latent, output) on the
        attention grid, and the output as it is.
        """
        with torch.no_grad():
            latents = self.backbone.encode(self.reduced(images))
        self.backbone.offload_vae()
        if radius := self.settings.attention:
            with self.backbone.recording(latents, differentiable=True) as average:
                states, output = self.backbone.hidden_states(latents, 0, self.blocks)
            states.append(attention_window(*average.mean(), radius))
        else:
            states, output = self.backbone.hidden_states(latents, 0, self.blocks)
        # p x p latents of a token become channels: (B, z, p * h, p * w) -> (B, z * p * p, h, w)
        states += [
            pixel_unshuffle(x, self.backbone.patch) for x in (latents.to(output.device), output)
        ]
        return torch.cat(states, dim=1), output

    def reduced(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 h w"]:
        """Images as the denoiser sees them: means of `reduction` x `reduction` px."""
        return avg_pool2d(images, self.settings.reduction)

    def check_finite(
        self, logits: Float[Tensor, "b H W"], images: Float[Tensor, "b 3 H W"]
    ) -> None:
        """Raise a BackboneError that names the first stage to give NaN or infinity, if there is
        any in the logits of these images.
        """
        if logits.isfinite().all():
            return
        backbone = self.backbone
        backbone.check_finite(backbone.encode(self.reduced(images)), "the latent of its VAE")
        backbone.check_finite(self.features(images)[0], "what the denoiser computes at t = 0")
        backbone.check_finite(logits, "what the detector's decoder computes")

    def explained_memory(self, size: tuple[int, int], batch: int) -> AbstractContextManager[None]:
        """Turn running out of memory within into a BackboneError with what would fit."""
        return explained_memory(self.backbone, size, batch)

    def reconstruct(self, output: Float32[Tensor, "b z lh lw"]) -> Float[Tensor, "b 3 H W"]:
        """I_hat, as large as the denoiser sees the image: the output read as the clean latent
        itself, through the frozen VAE decoder.

        x0_hat at t = 0 hardly depends on the weights, so L_rec through it would teach nothing.
        """
        latents = output.view_as(output)
        if latents.requires_grad:  # whose gradient is there when the VAE's backward pass is done
            latents.register_hook(lambda _: self.backbone.offload_vae())
        return self.backbone.decode(latents)

    def draw_weights(self) -> None:
        """Draw the first weights of what is trained."""
        fresh = EdgeDecoder(**self.decoder.settings)
        self.decoder.load_state_dict(fresh.state_dict())
        for name, weight in self.trained():
            if ".lora_A." in name:  # as peft draws them; B starts at zero
                drawn = nn.init.kaiming_uniform_(torch.empty(weight.shape), a=math.sqrt(5))
                weight.data.copy_(drawn)

    def move(self, device: str | torch.device) -> None:
        """Move it, and the backbone."""
        self.backbone.to(device)
        self.to(device)

    def parts(self) -> tuple[nn.Module, ...]:
        """What computes, in its order."""
        return self.backbone.vae.encoder, self.denoiser, self.decoder

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Decoder and LoRA, by name: what is learnt, and all that is saved."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)


def _rounded(backbone: DiffusionBackbone) -> dict[str, str]:
    """Fingerprints of float32 weights as they will be when they are loaded in half precision."""
    if backbone.dtype != torch.float32 or backbone.loaded_with.get("quantize"):
        return {}
    halves = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    return {name: backbone.weights_fingerprint(dtype) for name, dtype in halves.items()}


def attention_window(
    attention: Float32[Tensor, "b n n"], grid: Grid, radius: int
) -> Float32[Tensor, "b k h w"]:
    """log(N * SA) of every cell towards the k = (2 * radius + 1)^2 cells around it.

    The whole map has as many channels as cells, so a decoder of it would fit one size of image.
    A column to the left and its twin to the right come as their sum and the size of their
    difference: the features of a mirrored image are the mirrored features, as training takes
    them to be.

    Args:
        attention: rows that sum to 1. Even attention, 1 / N, gives 0; so does what lies outside.
        grid: (h, w) with N = h * w, row-major.
        radius: cells.
    """
    h, w = grid
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    queries = torch.arange(h * w, device=attention.device)
    paid = {}
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            to_rows, to_columns = rows + down, columns + right
            inside = (to_rows >= 0) & (to_rows < h) & (to_columns >= 0) & (to_columns < w)
            keys = to_rows.clamp(0, h - 1) * w + to_columns.clamp(0, w - 1)  # (h, w)
            found = attention[:, queries, keys.flatten().to(queries)]  # (B, N)
            logarithm = (found.clamp_min(MINIMUM_PROBABILITY) * h * w).log()
            # (B, N) -> (B, h, w)
            paid[down, right] = logarithm.reshape(-1, h, w) * inside.to(logarithm)
    channels = []
    for (down, right), here in paid.items():
        twin = paid[down, -right]
        channels.append(here + twin if right <= 0 else (here - twin).abs())
    return torch.stack(channels, dim=1)


def add_lora(backbone: DiffusionBackbone, rank: int) -> None:
    """Low-rank layers, in float32, on the projections of every self-attention and nowhere else."""
    peft = require("peft", "distill", "peft")
    modules = dict(backbone.denoiser.named_modules())
    wanted = [f"{layer}.{projection}" for layer in backbone.layers for projection in _PROJECTIONS]
    # The single blocks of FLUX mix attention and MLP in one output, which is left alone.
    targets = [name for name in wanted if name in modules]
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=targets)
    peft.inject_adapter_in_model(config, backbone.denoiser)
    for weight in backbone.denoiser.parameters():
        if weight.requires_grad:  # peft gives it the type of the weights beside it
            weight.data = weight.data.float()


def _width(backbone: DiffusionBackbone, block: str) -> int:
    """Channels of a block's hidden states: what its self-attention asks with."""
    layer = next(name for name in backbone.layers if name.rpartition(".")[0] == block)
    return int(backbone.denoiser.get_submodule(layer).query_dim)


def block_numbers(names: Sequence[str], backbone: DiffusionBackbone) -> tuple[int, ...]:
    """Numbers of the blocks that a stored student reads, in the order of a pass."""
    if unknown := [name for name in names if name not in backbone.blocks]:
        raise ValueError(f"{backbone.name} has no block {unknown[0]!r}")
    return tuple(backbone.blocks.index(name) for name in names)
