"""The table of families: everything about one is in its module, whose name is in the list here."""

from __future__ import annotations

from importlib import import_module

from trace_edges.backbones.specs import Family

_MODULES = (
    "unet", "pixart", "sd3", "flux", "flux2", "qwen_image", "z_image", "lumina2", "aura_flow",
    "chroma", "cogview4", "hunyuan_dit",
)  # fmt: skip

FAMILIES: tuple[Family, ...] = tuple(
    row
    for module in _MODULES
    for row in vars(import_module(f"{__name__}.{module}")).values()
    if isinstance(row, Family)
)

__all__ = ["FAMILIES"]
