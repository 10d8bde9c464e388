"""The sprites of composites; 24 of them come with the recipe."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from trace_edges.distillation.sprites import Sprite, read_sprites

__all__ = ["Sprite", "load_sprites"]


def load_sprites(
    source: str | PathLike[str] | None = None, rows: str | PathLike[str] | None = None
) -> dict[str, Sprite]:
    """Read sprites by name, as `read_sprites` does; without a source, those of the recipe."""
    return read_sprites(source or Path(__file__).parent / "sprites", rows)
