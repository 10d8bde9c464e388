"""Scenes of pasted sprites, whose instances are known to the pixel."""

from trace_edges.composites.render import Placed, Scene, render
from trace_edges.composites.scenes import SceneSettings, draw_scene
from trace_edges.composites.sprites import load_sprites
from trace_edges.composites.twins import border_between, touching_twins
from trace_edges.composites.write import visible_scene, write_composites

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
