"""Features of a vision transformer: the keys of its last self-attention layer.

The keys of DINO set objects apart from what is around them (Simeoni et al., LOST, BMVC 2021), which
MaskCut and ProMerge read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from trace_edges.backbones.encoders.encoder import EncoderBackbone
from trace_edges.backbones.problems import BackboneError

DEFAULT_ENCODER = "dino-vitb8"

_KEYS = re.compile(r"(.*\.)?(k_proj|key)")  # its name in transformers 5, and before


@dataclass(frozen=True, eq=False)
class ViTBackbone:
    """A vision transformer with keys of its own."""

    encoder: EncoderBackbone

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def cell(self) -> int:
        """Pixels of the model's input per token, along a side."""
        return self.encoder.cell

    @torch.inference_mode()
    def keys(self, images: Float[Tensor, "b 3 H W"]) -> Float32[Tensor, "b h w c"]:
        """Keys of the last layer, of all heads, one for each cell.

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
        hook = _key_layers(self.encoder.model)[-1].register_forward_hook(
            lambda module, inputs, output: found.append(output)
        )
        try:
            self.encoder.predict(images)
        finally:
            hook.remove()
        h, w = height // self.cell, width // self.cell
        return found[0][:, -h * w :].float().reshape(b, h, w, -1)


def load_vit(
    name: str | Path = DEFAULT_ENCODER,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> ViTBackbone:
    """Load a vision transformer of transformers by a name of `ENCODERS`, a folder, or a hub id.

    Args: as of `load_encoder`.

    Raises:
        BackboneError: it is not found, or no vision transformer with keys of its own.
    """
    from trace_edges.backbones.encoders.loading import load_encoder

    encoder = load_encoder(
        name, dtype=dtype, device=device, revision=revision, local_files_only=local_files_only
    )
    if not _key_layers(encoder.model):
        raise BackboneError(
            f"encoder {str(name)!r} is a {type(encoder.model).__name__}, which has no keys of its "
            "own; use one such as facebook/dino-vitb8"
        )
    return ViTBackbone(encoder)


def _key_layers(model: nn.Module) -> list[nn.Module]:
    """The key projections of all layers, in the order of the model."""
    return [module for name, module in model.named_modules() if _KEYS.fullmatch(name)]
