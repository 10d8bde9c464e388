"""Features of a vision transformer: the keys of its last self-attention layer.

The keys of DINO tell objects from what is around them (Simeoni et al., LOST, BMVC 2021), which is
what MaskCut and ProMerge read.
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from jaxtyping import Float, Float32
from torch import Tensor, nn
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from trace_edges.backbones.problems import BackboneError

ENCODERS = {  # the table: short names of what is known to work; ids and folders work as well
    "dino-vitb8": "facebook/dino-vitb8",
    "dino-vits8": "facebook/dino-vits8",
    "dino-vitb16": "facebook/dino-vitb16",
    "dino-vits16": "facebook/dino-vits16",
    "dinov2-small": "facebook/dinov2-small",
    "dinov2-base": "facebook/dinov2-base",
}
DEFAULT_ENCODER = "dino-vitb8"

_KEYS = re.compile(r"(.*\.)?(k_proj|key)")  # its name in transformers 5, and before
_PREPROCESSOR = "preprocessor_config.json"
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True, eq=False)
class ViTBackbone:
    """A vision transformer and what it wants its images scaled by.

    Attributes:
        model: of transformers, in evaluation mode.
        mean, std: of the colours in [0, 1] that it was trained with.
    """

    name: str
    model: Any
    mean: Float32[Tensor, "3 1 1"]
    std: Float32[Tensor, "3 1 1"]

    @property
    def cell(self) -> int:
        """Pixels of the model's input per token, along a side."""
        return int(self.model.config.patch_size)

    @torch.inference_mode()
    def keys(self, images: Float[Tensor, "b 3 H W"]) -> Float32[Tensor, "b h w c"]:
        """What the last layer's tokens are asked by: its keys, of all heads, one for each cell.

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
        hook = _key_layers(self.model)[-1].register_forward_hook(
            lambda module, inputs, output: found.append(output)
        )
        weight = next(self.model.parameters())
        mean, std = self.mean.to(weight.device), self.std.to(weight.device)
        scaled = ((images.to(weight.device).float() + 1) / 2 - mean) / std
        try:
            self.model(scaled.to(weight.dtype), **_options(self.model))
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

    Args:
        name: its preprocessor_config.json, where there is one, says what colours are scaled by;
            without it ImageNet's mean and deviation are taken.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the network.

    Raises:
        BackboneError: it is not found, or no vision transformer with keys of its own.
    """
    source = ENCODERS.get(str(name), str(name))
    if not Path(source).is_dir() and source.count("/") != 1:
        raise BackboneError(
            f"encoder {source!r} is neither one of {', '.join(ENCODERS)}, nor a folder, "
            "nor a hub id (owner/name)"
        )
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # DINO has no pooler, and needs none
    try:
        model = AutoModel.from_pretrained(
            source, revision=revision, local_files_only=local_files_only
        )
        file = _preprocessor(source, revision, local_files_only)
        colours = _IMAGENET | (json.loads(file.read_text()) if file else {})
    except (OSError, ValueError) as error:  # missing, gated, no network, not supported
        reason = " ".join(str(error).split())
        raise BackboneError(f"encoder {source!r} could not be loaded: {reason}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
    model = getattr(model, "vision_model", model)  # of a pair with a text encoder: CLIP, SigLIP
    if not isinstance(getattr(model.config, "patch_size", None), int) or not _key_layers(model):
        raise BackboneError(
            f"encoder {source!r} is a {type(model).__name__}, which is no vision transformer "
            "with keys of its own; use one such as facebook/dino-vitb8"
        )
    mean, std = (
        torch.tensor(colours[f"image_{kind}"]).reshape(3, 1, 1) for kind in ("mean", "std")
    )
    return ViTBackbone(str(name), model.eval().to(device, dtype), mean, std)


def _preprocessor(source: str, revision: str | None, local_files_only: bool) -> Path | None:
    if Path(source).is_dir():
        path = Path(source) / _PREPROCESSOR
        return path if path.exists() else None
    try:
        return Path(
            hf_hub_download(
                source, _PREPROCESSOR, revision=revision, local_files_only=local_files_only
            )
        )
    except EntryNotFoundError:
        return None


def _key_layers(model: nn.Module) -> list[nn.Module]:
    """The key projections of all layers, in the order of the model."""
    return [module for name, module in model.named_modules() if _KEYS.fullmatch(name)]


def _options(model: nn.Module) -> dict[str, bool]:
    """Some models stretch their position embeddings to the image only when told to."""
    known = inspect.signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
