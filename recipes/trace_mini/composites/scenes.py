"""Scenes drawn by chance: single objects, and groups of one kind that stand close together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, log, pi, sin

import numpy as np

from recipes.trace_mini.composites.render import Placed, Scene

_TRIES = 30  # for a place where an object does not hide another


@dataclass(frozen=True)
class SceneSettings:
    """Size of scenes, and the number and size of their objects.

    Attributes:
        height, width: px.
        objects: fewest and most.
        size: smallest and largest side of a sprite's square, as a share of sqrt(H * W); all
            magnitudes between are equally likely.
        group: chance that an object is followed by another of its kind, right beside it.
    """

    height: int = 384
    width: int = 384
    objects: tuple[int, int] = (3, 12)
    size: tuple[float, float] = (0.12, 0.45)
    group: float = 0.55

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 32:
            raise ValueError(f"a scene of {self.height}x{self.width} px is too small: give 32 px")
        if not 1 <= self.objects[0] <= self.objects[1]:
            raise ValueError(f"objects: fewest and most, from 1 on, not {self.objects}")
        if not 0 < self.size[0] <= self.size[1] <= 1:
            raise ValueError(f"size: smallest and largest, in (0, 1], not {self.size}")


def draw_scene(
    names: Sequence[str], rng: np.random.Generator, settings: SceneSettings | None = None
) -> Scene:
    """A scene of sprites of these names; fewer objects than drawn where there is no room."""
    settings = settings or SceneSettings()
    side = (settings.height * settings.width) ** 0.5
    wanted = int(rng.integers(settings.objects[0], settings.objects[1] + 1))
    placed: list[Placed] = []
    while wanted:
        wanted -= 1
        if placed and rng.random() < settings.group:
            one = _beside(placed[-1], placed, rng, settings)
        else:
            size = side * np.exp(rng.uniform(log(settings.size[0]), log(settings.size[1])))
            hue = rng.uniform(-0.5, 0.5) * (rng.random() < 0.5)
            name = names[int(rng.integers(len(names)))]
            one = _somewhere(name, float(size), float(hue), placed, rng, settings)
        if one is not None:
            placed.append(one)
    colours = rng.uniform(0.35, 0.97, (3, 3))
    first, second, third = (tuple(float(c) for c in colour) for colour in colours)
    return Scene(settings.height, settings.width, (first, second, third), tuple(placed))  # type: ignore[arg-type]


def _somewhere(
    name: str,
    size: float,
    hue: float,
    others: Sequence[Placed],
    rng: np.random.Generator,
    settings: SceneSettings,
) -> Placed | None:
    for _ in range(_TRIES):
        x, y = rng.uniform(0.08, 0.92, 2) * (settings.width, settings.height)
        one = Placed(name, float(x), float(y), size, float(rng.uniform(-35, 35)), hue)
        if all(_apart(one, other) > 0.6 for other in others):
            return one
    return None


def _beside(
    last: Placed, others: Sequence[Placed], rng: np.random.Generator, settings: SceneSettings
) -> Placed | None:
    """Of the same kind, near in size and hue, so close that the two mostly touch."""
    for _ in range(_TRIES):
        angle, distance = rng.uniform(0, 2 * pi), rng.uniform(0.62, 0.9) * last.size
        x, y = last.x + distance * cos(angle), last.y + distance * sin(angle)
        if not (0 < x < settings.width and 0 < y < settings.height):
            continue
        one = Placed(
            last.name, float(x), float(y), last.size * float(rng.uniform(0.9, 1.1)),
            last.angle + float(rng.uniform(-25, 25)), last.hue + float(rng.uniform(-0.03, 0.03)),
        )  # fmt: skip
        if all(_apart(one, other) > 0.6 for other in others):
            return one
    return None


def _apart(one: Placed, other: Placed) -> float:
    """Distance of the centres, in mean sizes."""
    return hypot(one.x - other.x, one.y - other.y) * 2 / (one.size + other.size)
