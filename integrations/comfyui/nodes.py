"""What ComfyUI asks of a node: INPUT_TYPES, RETURN_TYPES, FUNCTION, CATEGORY.

ComfyUI's IMAGE is a float tensor (B, H, W, C) in [0, 1], its MASK one of (B, H, W). All images of a
batch have one size, which need be no multiple of anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch

STYLES = ["thin", "soft", "scribble"]


@lru_cache(maxsize=2)
def load_source(detector: str, backbone: str) -> Any:
    """The detector, or where a backbone is named its pipeline, on ComfyUI's device."""
    from trace_edges.edge_model import EdgeModel
    from trace_edges.loading import Loading

    name, method = (backbone, "training-free") if backbone else (detector, "one-step")
    return EdgeModel(name=name, method=method, loading=Loading(device=_device())).load()


def _device() -> str:
    try:
        from comfy.model_management import get_torch_device
    except ImportError:  # outside of ComfyUI
        return "auto"
    return str(get_torch_device())


def find_edges(image: torch.Tensor, detector: str, backbone: str, resolution: int) -> Any:
    """The EdgeMap of a batch (B, H, W, C) of ComfyUI's."""
    source = load_source(detector.strip(), backbone.strip())
    images = image[..., :3].movedim(-1, 1).clamp(0, 1)  # (B, 3, H, W)
    return source(images, resolution=resolution or None)


_SOURCE: dict[str, Any] = {
    "image": ("IMAGE",),
    "detector": ("STRING", {"default": "trace-mini", "tooltip": "A folder, or a hub id."}),
    "backbone": (
        "STRING",
        {
            "default": "",
            "tooltip": "Reads the attention of this model instead: a name, a folder, or a hub id.",
        },
    ),
    "resolution": (
        "INT",
        {"default": 0, "min": 0, "max": 4096, "step": 8,
         "tooltip": "sqrt(H * W) in px at which the image is read. 0: the model's own."},
    ),
}  # fmt: skip


class TraceEdges:
    """Instance edges as a control image."""

    CATEGORY = "image/preprocessors"
    DESCRIPTION = "Instance edges (TRACE) as a control image, white on black."
    FUNCTION = "detect"
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("edges",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The sockets and widgets of the node."""
        return {"required": _SOURCE | {"style": (STYLES, {"default": "thin"})}}

    def detect(
        self, image: torch.Tensor, detector: str, backbone: str, resolution: int, style: str
    ) -> tuple[torch.Tensor]:
        """Edges of a batch: (B, H, W, 3) in [0, 1], of the size of the images."""
        from trace_edges.drawing.control import control_image

        found = find_edges(image, detector, backbone, resolution)
        drawn = [
            np.asarray(control_image(edges, thin, style))
            for edges, thin in zip(found.edges, found.thin, strict=True)
        ]
        return (torch.from_numpy(np.stack(drawn)).float() / 255,)


class TraceInstances:
    """Instances as masks."""

    CATEGORY = "mask"
    DESCRIPTION = "Regions that instance edges (TRACE) close, a mask each."
    FUNCTION = "segment"
    RETURN_TYPES = ("MASK", "IMAGE")
    RETURN_NAMES = ("masks", "overlay")
    OUTPUT_TOOLTIPS: ClassVar = ("Masks of all instances, image after image.", "All in colours.")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The sockets and widgets of the node."""
        share = {"min": 0.0, "max": 1.0, "step": 0.005}
        return {
            "required": _SOURCE
            | {
                "strength": (
                    "FLOAT",
                    {"default": 0.05, "tooltip": "Boundaries up to it are removed."} | share,
                ),
                "min_area": (
                    "FLOAT",
                    {"default": 0.002, "tooltip": "Share of the image; smaller ones are left out."}
                    | share,
                ),
            }
        }

    def segment(
        self,
        image: torch.Tensor,
        detector: str,
        backbone: str,
        resolution: int,
        strength: float,
        min_area: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (n, H, W) of the instances of all images, and (B, H, W, 3) with them in colours."""
        from trace_edges.instances.regions import instances_from_edges

        found = find_edges(image, detector, backbone, resolution)
        pixels = (image[..., :3].clamp(0, 1) * 255).round().byte().cpu().numpy()
        masks, drawn = [], []
        for edges, photograph in zip(found, pixels, strict=True):
            instances = instances_from_edges(edges, strength, min_area=min_area)
            masks.append(torch.tensor(instances.masks, dtype=torch.float32))
            drawn.append(np.asarray(instances.overlay(photograph)))
        return torch.cat(masks), torch.from_numpy(np.stack(drawn)).float() / 255


NODE_CLASS_MAPPINGS = {"TraceEdges": TraceEdges, "TraceInstances": TraceInstances}
NODE_DISPLAY_NAME_MAPPINGS = {
    "TraceEdges": "TRACE instance edges",
    "TraceInstances": "TRACE instances",
}
