"""A folder of composites with their ground truth, in COCO's formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32
from PIL import Image

from recipes.trace_mini.composites.render import Scene, render
from recipes.trace_mini.composites.scenes import SceneSettings, draw_scene
from recipes.trace_mini.composites.sprites import Sprite
from recipes.trace_mini.composites.twins import touching_twins
from trace_edges.files import write_atomically, write_json
from trace_edges.formats.coco import export_coco
from trace_edges.formats.labels import write_label_png
from trace_edges.formats.panoptic import export_panoptic
from trace_edges.metrics.panoptic import Category
from trace_edges.results import InstanceMasks, PanopticMap, Segment

_GROUND = Category(1, "ground", thing=False)
_LEAST_SHOWN = 0.25  # of an object; what is hidden further is taken out of the scene


def write_composites(
    folder: str | PathLike[str],
    sprites: Mapping[str, Sprite],
    n: int,
    *,
    seed: int = 0,
    settings: SceneSettings | None = None,
    progress: Callable[[], object] | None = None,
) -> None:
    """Write scenes with exact ground truth; the same arguments give the same bytes.

    In the folder: images/NAME.png; labels/NAME.png, 16 bit, the number of the instance of each
    pixel; panoptic.json with panoptic/NAME.png, a category for every sprite and one for the ground;
    instances.json, of one category; scenes.json, where everything was pasted, and `touching`, the
    pairs of touching instances of one sprite.

    Args:
        folder: made if it is not there.
        sprites: by name, as `load_sprites` gives them.
        n: how many.
        seed: of all of them; scene k is the same for every n above k.
        settings: what they are like.
        progress: called after each.

    Raises:
        OSError: a file cannot be written.
    """
    folder, settings = Path(folder), settings or SceneSettings()
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    scenes: dict[str, Any] = {}
    for number in range(n):
        name = f"{number:06d}"
        scene, picture, ids = visible_scene(list(sprites), sprites, settings, (seed, number))
        with write_atomically(folder / "images" / f"{name}.png") as temporary:
            Image.fromarray(picture).save(temporary, format="png", optimize=True)
        write_label_png(ids, folder / "labels" / f"{name}.png")
        pasted = [one.name for one in scene.objects]
        scenes[name] = asdict(scene) | {"touching": touching_twins(ids, pasted)}
        if progress is not None:
            progress()
    write_json({"seed": seed, "settings": asdict(settings), "scenes": scenes},
               folder / "scenes.json")  # fmt: skip
    categories = [_GROUND] + [
        Category(number, name, thing=True) for number, name in enumerate(sprites, start=2)
    ]
    files = {name: f"{name}.png" for name in scenes}
    ids_of = {name: number for number, name in enumerate(scenes, start=1)}
    numbers = {one.name: one.id for one in categories}
    export_panoptic(
        _Panoptic(folder / "labels", scenes, numbers), folder / "panoptic.json", categories,
        file_names=files, image_ids=ids_of,
    )  # fmt: skip
    export_coco(
        _Instances(folder / "labels", scenes), folder / "instances.json",
        file_names=files, image_ids=ids_of,
    )  # fmt: skip


def visible_scene(
    names: Sequence[str],
    sprites: Mapping[str, Sprite],
    settings: SceneSettings,
    entropy: tuple[int, ...],
) -> tuple[Scene, np.ndarray, Int32[np.ndarray, "h w"]]:
    """A scene in which every object shows, its picture, and the number of the instance of each
    pixel (0: ground); `entropy`, such as a seed and a number, decides all of it.
    """
    scene = draw_scene(names, np.random.default_rng((*entropy, 0)), settings)
    while True:
        picture, ids, shown = render(scene, sprites, np.random.default_rng((*entropy, 1)))
        kept = [o for o, share in zip(scene.objects, shown, strict=True) if share >= _LEAST_SHOWN]
        if len(kept) == len(scene.objects):
            return scene, picture, ids
        scene = replace(scene, objects=tuple(kept))


class _Labels(Mapping[str, Any]):
    """What lies in the folder, read when it is asked for: any number of scenes fits in memory."""

    def __init__(self, folder: Path, scenes: Mapping[str, Any]) -> None:
        self.folder, self.scenes = folder, scenes

    def __iter__(self) -> Iterator[str]:
        return iter(self.scenes)

    def __len__(self) -> int:
        return len(self.scenes)

    def ids(self, name: str) -> Int32[np.ndarray, "h w"]:
        with Image.open(self.folder / f"{name}.png") as picture:
            return np.asarray(picture).astype(np.int32)


class _Instances(_Labels):
    def __getitem__(self, name: str) -> InstanceMasks:
        ids = self.ids(name)
        masks = ids == np.arange(1, ids.max() + 1)[:, None, None]
        return InstanceMasks(masks, np.ones(len(masks), dtype=np.float32))


class _Panoptic(_Labels):
    def __init__(self, folder: Path, scenes: Mapping[str, Any], numbers: Mapping[str, int]) -> None:
        super().__init__(folder, scenes)
        self.numbers = numbers

    def __getitem__(self, name: str) -> PanopticMap:
        ids = self.ids(name) + 1  # the ground is segment 1, instance k is segment k + 1
        segments = [
            Segment(number, self.numbers[one["name"]], thing=True)
            for number, one in enumerate(self.scenes[name]["objects"], start=2)
        ]
        if (ids == 1).any():
            segments.insert(0, Segment(1, _GROUND.id, thing=False))
        return PanopticMap(ids, tuple(segments))
