"""Scenes of pasted sprites, whose instances are known to the pixel."""

from recipes.trace_mini.composites.render import Placed, Scene, render
from recipes.trace_mini.composites.scenes import SceneSettings, draw_scene
from recipes.trace_mini.composites.sprites import load_sprites
from recipes.trace_mini.composites.write import (
    border_between,
    touching_twins,
    visible_scene,
    write_composites,
)

__all__ = [
    "Placed",
    "Scene",
    "SceneSettings",
    "border_between",
    "draw_scene",
    "load_sprites",
    "render",
    "touching_twins",
    "visible_scene",
    "write_composites",
]
