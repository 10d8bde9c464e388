"""A folder of composites with their ground truth, in COCO's formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Integer
from PIL import Image

from recipes.trace_mini.composites.render import Scene, render
from recipes.trace_mini.composites.scenes import SceneSettings, draw_scene
from recipes.trace_mini.composites.sprites import Sprite
from trace_edges.files import write_atomically, write_json
from trace_edges.formats.coco import export_coco
from trace_edges.formats.labels import write_label_png
from trace_edges.formats.panoptic import export_panoptic
from trace_edges.formats.pixels import stored_pixels
from trace_edges.metrics.panoptic import Category
from trace_edges.results import InstanceMasks, PanopticMap, Segment

Pair = tuple[int, int]

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
        scene, image, ids = visible_scene(list(sprites), sprites, settings, (seed, number))
        with write_atomically(folder / "images" / f"{name}.png") as temporary:
            Image.fromarray(image).save(temporary, format="png", optimize=True)
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
    """A scene in which every object shows, its image, and the number of the instance of each
    pixel (0: ground); `entropy`, such as a seed and a number, decides all of it.
    """
    scene = draw_scene(names, np.random.default_rng((*entropy, 0)), settings)
    while True:
        image, ids, shown = render(scene, sprites, np.random.default_rng((*entropy, 1)))
        kept = [o for o, share in zip(scene.objects, shown, strict=True) if share >= _LEAST_SHOWN]
        if len(kept) == len(scene.objects):
            return scene, image, ids
        scene = replace(scene, objects=tuple(kept))


def touching_twins(ids: Integer[np.ndarray, "h w"], names: Sequence[str]) -> list[Pair]:
    """Pairs of instances of one name that share a border, the smaller number first.

    Args:
        ids: number of the instance of each pixel, from 1 on; 0 is ground.
        names: of the instances 1, 2, ...
    """
    found = set()
    for one, two in _neighbours(ids):
        apart = (one != two) & (one > 0) & (two > 0)
        pairs = np.unique(np.stack([one[apart], two[apart]], axis=1), axis=0)
        found |= {(int(min(pair)), int(max(pair))) for pair in pairs}
    return sorted(pair for pair in found if names[pair[0] - 1] == names[pair[1] - 1])


def border_between(
    ids: Integer[np.ndarray, "h w"], pairs: Collection[Sequence[int]]
) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour is the other one of a pair."""
    wanted = {(min(pair), max(pair)) for pair in pairs}
    border = np.zeros(ids.shape, dtype=bool)
    places = border[:-1], border[:, :-1]  # views: what is written here stands in the border
    for (one, two), place in zip(_neighbours(ids), places, strict=True):
        for low, high in wanted:
            place |= ((one == low) & (two == high)) | ((one == high) & (two == low))
    return border


def _neighbours(ids: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Each pixel with the one below, and with the one to its right."""
    return (ids[:-1], ids[1:]), (ids[:, :-1], ids[:, 1:])


class _Labels(Mapping[str, Any]):
    """What lies in the folder, read when it is asked for: any number of scenes fits in memory."""

    def __init__(self, folder: Path, scenes: Mapping[str, Any]) -> None:
        self.folder, self.scenes = folder, scenes

    def __iter__(self) -> Iterator[str]:
        return iter(self.scenes)

    def __len__(self) -> int:
        return len(self.scenes)

    def ids(self, name: str) -> Int32[np.ndarray, "h w"]:
        values, _, _ = stored_pixels(self.folder / f"{name}.png")
        return values.astype(np.int32)


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
