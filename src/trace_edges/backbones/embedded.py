"""The model that comes with the package, in plain PyTorch.

It is a PixArt denoiser with one latent a token, and a TAESD autoencoder. diffusers has both, and
reads the same files; but importing them takes three times as long as importing PyTorch, and the
first thing most users run is this model. Modules are named as in diffusers, and so in the weights.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trace_edges.backbones.checkpoints import EMBEDDED, embedded_folder
from trace_edges.backbones.diffusion import DiffusionBackbone
from trace_edges.backbones.embedded_vae import Autoencoder, Fields
from trace_edges.backbones.families.pixart import PIXART
from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.specs import Defaults

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_FREQUENCIES = 128  # of the embedding of a timestep
_PERIOD = 10_000


def read_embedded(dtype: torch.dtype = torch.float32) -> DiffusionBackbone:
    """The embedded model on the CPU."""
    folder = embedded_folder()
    noise = json.loads((folder / "scheduler" / "scheduler_config.json").read_bytes())
    betas = torch.linspace(
        noise["beta_start"] ** 0.5, noise["beta_end"] ** 0.5, noise["num_train_timesteps"],
        dtype=torch.float32,
    ) ** 2  # fmt: skip
    null = load_file(folder / "null_condition.safetensors")
    return DiffusionBackbone(
        EMBEDDED,
        PIXART,
        _read(Denoiser, folder / "transformer").to(dtype),
        _read(Autoencoder, folder / "vae").to(dtype),
        DDPMSchedule((1 - betas).cumprod(0).double()),
        {name: null[name] for name in ("prompt_embeds", "prompt_attention_mask")},
        Defaults(**json.loads((folder / "trace_edges.json").read_bytes())),
    )


def _read(kind: type[Denoiser] | type[Autoencoder], folder: Path) -> nn.Module:
    config = json.loads((folder / "config.json").read_bytes())
    with torch.device("meta"):
        model = kind.from_config(config)
    weights = {name: tensor.float() for name, tensor in load_file(folder / _WEIGHTS).items()}
    model.load_state_dict(weights, assign=True)
    return model


class Denoiser(nn.Module):
    """PixArt-alpha for one latent a token: self-attention, cross-attention to the null condition
    and an MLP in every block, all of it set by the timestep.

    Args:
        config: of diffusers' `PixArtTransformer2DModel`.
    """

    use_additional_conditions = False

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = Fields(config)
        self.gradient_checkpointing = False
        heads: int = config["num_attention_heads"]
        width = heads * config["attention_head_dim"]
        channels = config["in_channels"]
        # In diffusers' order, in which fingerprints read them.
        self.scale_shift_table = nn.Parameter(torch.zeros(2, width))
        self.pos_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, 1)})
        self.transformer_blocks = nn.ModuleList(
            [_Block(width, heads) for _ in range(config["num_layers"])]
        )
        self.proj_out = nn.Linear(width, config["out_channels"])
        embedder = _TwoLayers(2 * _FREQUENCIES, width, nn.SiLU())
        self.adaln_single = nn.ModuleDict(
            {
                "emb": nn.ModuleDict({"timestep_embedder": embedder}),
                "linear": nn.Linear(width, 6 * width),
            }
        )
        gelu = nn.GELU(approximate="tanh")
        self.caption_projection = _TwoLayers(config["caption_channels"], width, gelu)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Denoiser:
        return cls(config)

    def enable_gradient_checkpointing(self) -> None:
        """Keep no activations within the blocks, and compute them again for the gradients."""
        self.gradient_checkpointing = True

    def forward(
        self,
        latents: Float[Tensor, "b c h w"],
        timestep: Int64[Tensor, " b"],
        encoder_hidden_states: Float[Tensor, "b n d"],
        encoder_attention_mask: Float[Tensor, "b n"],
        added_cond_kwargs: dict[str, Any],
    ) -> Fields:
        """Predict the noise, as `sample`, called as diffusers' model is."""
        h, w = (int(side) for side in latents.shape[-2:])
        # (B, C, h, w) -> (B, h * w, width)
        x = self.pos_embed["proj"](latents).flatten(2).transpose(1, 2)
        base = self.config["sample_size"]
        x = (x + _positions(h, w, int(x.shape[-1]), base, x.device)).to(x.dtype)
        embedded = self.adaln_single.get_submodule("emb.timestep_embedder")(
            _frequencies(timestep).to(x.dtype)
        )
        settings = self.adaln_single["linear"](F.silu(embedded)).unflatten(1, (6, -1))
        text = self.caption_projection(encoder_hidden_states)
        bias = (1 - encoder_attention_mask.to(x.dtype)) * -10_000.0
        inputs = (settings, text, bias[:, None, None])
        for block in self.transformer_blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, *inputs, use_reentrant=False)
            else:
                x = block(x, *inputs)
        shift, scale = (self.scale_shift_table + embedded[:, None]).chunk(2, dim=1)
        x = self.proj_out(_modulated(x, scale, shift))
        return Fields(sample=x.transpose(1, 2).unflatten(2, (h, w)))


class _Block(nn.Module):
    """One block of a PixArt."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn1, self.attn2 = _Attention(width, heads), _Attention(width, heads)
        leave = nn.Linear(4 * width, width)
        self.ff = nn.ModuleDict(
            {"net": nn.Sequential(_Activated(width, 4 * width), nn.Identity(), leave)}
        )
        self.scale_shift_table = nn.Parameter(torch.zeros(6, width))

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        settings: Float[Tensor, "b 6 d"],
        text: Float[Tensor, "b m d"],
        bias: Float[Tensor, "b 1 1 m"],
    ) -> Float[Tensor, "b n d"]:
        parts = (self.scale_shift_table + settings).chunk(6, dim=1)
        shift, scale, gate, shift_inner, scale_inner, gate_inner = parts
        x = gate * self.attn1(_modulated(x, scale, shift)) + x
        x = self.attn2(x, text, bias) + x
        return gate_inner * self.ff["net"](_modulated(x, scale_inner, shift_inner)) + x


class _Attention(nn.Module):
    """Attention of the image's tokens to themselves, or to the text's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query_dim, self.heads = width, heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(
        self, x: Float[Tensor, "b n d"], text: Tensor | None = None, bias: Tensor | None = None
    ) -> Float[Tensor, "b n d"]:
        read = x if text is None else text
        # (B, N, D) -> (B, heads, N, D / heads)
        q, k, v = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.to_q(x), self.to_k(read), self.to_v(read))
        )
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.to_out[0](seen.transpose(1, 2).flatten(2))
        return out


class _Activated(nn.Module):
    """A linear layer and GELU."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(inputs, width)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n d"]:
        return F.gelu(self.proj(x), approximate="tanh")


class _TwoLayers(nn.Module):
    """Two linear layers around an activation."""

    def __init__(self, inputs: int, width: int, activation: nn.Module) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inputs, width), nn.Linear(width, width)
        self.activation = activation

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b d"]:
        y: Tensor = self.linear_2(self.activation(self.linear_1(x)))
        return y


def _modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def _frequencies(timesteps: Tensor) -> Float[Tensor, "b f"]:
    """Cosines and sines of the timesteps."""
    steps = torch.arange(_FREQUENCIES, dtype=torch.float32, device=timesteps.device)
    angles = timesteps[:, None].float() * (-math.log(_PERIOD) * steps / _FREQUENCIES).exp()
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _positions(h: int, w: int, width: int, base: int, device: torch.device) -> Tensor:
    """Sines and cosines of columns and rows, (h * w, width), float32; the grid's sides are taken
    to be those of training whatever they are.
    """
    precise = torch.float32 if device.type == "mps" else torch.float64
    powers = torch.arange(width // 4, dtype=precise, device=device) / (width / 4)
    rows, columns = (
        torch.outer(
            torch.arange(side, dtype=torch.float32, device=device) / (side / base),
            1.0 / _PERIOD**powers,
        )
        for side in (h, w)
    )
    of_rows, of_columns = (torch.cat([a.sin(), a.cos()], dim=1) for a in (rows, columns))
    both = of_columns[None].expand(h, -1, -1), of_rows[:, None].expand(-1, w, -1)
    return torch.cat(both, dim=2).flatten(0, 1).float()
