"""Where edges come from: an `EdgeSource` prepares an image, reads a batch and draws an `EdgeMap`.

The training-free pipeline, a detector and a folder of edge maps are sources. What all of them share
is written here, once: sizes, batches of neighbours, calls with one image or many, and the record of
settings. Preparing and drawing need no model, so that they can run in other processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from trace_edges.images import ImageSource, model_size, read_image, read_images, resize_image
from trace_edges.results import EdgeMap, Emergence, stack_edge_maps

if TYPE_CHECKING:
    from torch import Tensor

# Images of a pass where nobody says otherwise. On one H100 an image of SD3.5-Large's shape costs a
# third in batches of four (512 px) of what it costs alone; larger batches gain little more.
BATCH_SIZE = 4

Size = tuple[int, int]  # (height, width)
Settings = TypeVar("Settings")


class EdgeError(ValueError):
    """Edges of one image that cannot be had; the message names it. Those of others may be."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image that is ready to be read.

    Attributes:
        image: (h, w, 3), whole or at `size`; None where only the name is asked for.
        size: (H, W) in px at which it is read: images of one size share a batch.
        shape: (h, w) of the image itself, which its edges will have; None where it is not known.
        name: stem of its file, under which a folder of edge maps files its edges.
        notes: what was done to the image as it was loaded (`trace_edges.images.LoadedImage`).
        digest: of its file, where that came as bytes.
    """

    image: UInt8[np.ndarray, "_ _ 3"] | None
    size: Size
    shape: Size | None
    name: str = ""
    notes: tuple[str, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Step:
    """The self-attention SA(X_t) of one step; `attention` (B, N, N) has rows that sum to 1."""

    timestep: int
    attention: Float32[Tensor, "b n n"]
    grid: Size


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read of one image, on the source's own grid, so it is small.

    Attributes:
        values: (gh, gw) ABDiv in nats, a detector's probabilities, or edges at the pixels.
        timestep: the step that was read; None where there are no steps.
        emergence: how the step was found; None where nothing was sought.
        measured: `values` are ABDiv.
        step: its attention (B = 1), where it was asked for.
    """

    values: Float32[np.ndarray, "gh gw"]
    timestep: int | None
    emergence: Emergence | None = None
    measured: bool = False
    step: Step | None = None


@dataclass(frozen=True)
class Preparation:
    """Makes an image ready to be read; runs in workers.

    Attributes:
        resolution: sqrt(H * W) in px at which it is read; None: at its own size.
        multiple: the sides are multiples of so many px.
        shrink: make it that size already; otherwise it stays whole, and the source does so.
    """

    resolution: int | None
    multiple: int = 1
    shrink: bool = False

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], name: str = "") -> Prepared:
        height, width, _ = image.shape
        if self.resolution is None:
            return Prepared(image, (height, width), (height, width), name)
        size = model_size(height, width, self.resolution, self.multiple)
        ready = resize_image(image, size) if self.shrink else image
        return Prepared(ready, size, (height, width), name)


class Drawing(Protocol):
    """Draws what was read at the pixels of the image; a dataclass, since it runs in workers."""

    def __call__(
        self, values: Float32[np.ndarray, "gh gw"], size: Size
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        """Edges in [0, 1] and where their ridges run, both (h, w) = `size`."""


class EdgeSource(ABC, Generic[Settings]):
    """Where edges of images come from.

    Attributes:
        default: the settings of a call that is given none.
        called: what messages call the source.
    """

    default: Settings
    called = "source"

    @abstractmethod
    def preparation(self, settings: Settings) -> Preparation:
        """Gives what makes an image ready; picklable."""

    @abstractmethod
    def read(
        self, batch: Sequence[Prepared], settings: Settings, *, attention: bool = False
    ) -> list[Reading]:
        """Reads images of one `size` together.

        Args:
            batch: B prepared images.
            settings: how they are read.
            attention: keep the step that was read (`Reading.step`) where there is one.
        """

    @abstractmethod
    def drawing(self, settings: Settings) -> Drawing:
        """Gives what draws a reading; picklable."""

    @abstractmethod
    def describe(self, settings: Settings | None = None) -> dict[str, Any]:
        """Lists all that the edges of every image are made with, plain JSON values."""

    def check(self, settings: Settings) -> None:
        """Raises what would stop every image: better before the first one than for each."""

    def fingerprint(self) -> str | None:
        """Equal for sources whose weights are equal; None where there are no weights."""
        return None

    def prepare(self, image: ImageSource, settings: Settings | None = None) -> Prepared:
        """Loads one image and makes it ready.

        Raises:
            ImageError: it cannot be read or used.
        """
        chosen = self.default if settings is None else settings
        loaded = read_image(image)
        return replace(self.preparation(chosen)(loaded.pixels, _stem(image)), notes=loaded.notes)

    def values(
        self, image: ImageSource, settings: Settings | None = None
    ) -> Float32[np.ndarray, "gh gw"]:
        """What is read of one image, on the source's own grid, not drawn."""
        chosen = self.default if settings is None else settings
        return self.read([self.prepare(image, chosen)], chosen)[0].values

    def draw(
        self, reading: Reading, prepared: Prepared, settings: Settings | None = None
    ) -> EdgeMap:
        """Draws the edges of one image, at its own size."""
        chosen = self.default if settings is None else settings
        shape = prepared.shape or (reading.values.shape[0], reading.values.shape[1])
        edges, ridges = self.drawing(chosen)(reading.values, shape)
        raw = reading.values[None] if reading.measured else None
        made_with = self.describe(chosen) | self.record(reading, prepared)
        if prepared.notes:
            made_with |= {"notes": list(prepared.notes)}
        return EdgeMap(edges[None], ridges[None], raw, reading.emergence, made_with)

    def record(self, reading: Reading, prepared: Prepared) -> dict[str, Any]:
        """Lists what the edges of this image are made with beside the settings."""
        grid = {"grid": list(reading.values.shape)} if reading.measured else {}
        return {"model_size": list(prepared.size)} | grid

    def __call__(
        self,
        images: ImageSource | list[Any],
        settings: Settings | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        **changes: Any,
    ) -> EdgeMap:
        """Detects the edges of one image, or of several images of one size.

        Args:
            images: a path, bytes, PIL image, array or tensor, a list of them, or a batch.
            settings: how they are read; None: the default.
            batch_size: so many images share a pass, whatever their number.
            changes: single settings by name, for instance `resolution=512`.

        Returns:
            One EdgeMap of N images, at their size.

        Raises:
            ImageError: an image cannot be read or used.
            ValueError: the images have several sizes (use `each`), or a setting does not fit.
        """
        return self._detect(images, self.chosen(settings, changes), batch_size)

    def each(
        self,
        images: Iterable[ImageSource],
        settings: Settings | None = None,
        batch_size: int = 1,
        **changes: Any,
    ) -> Iterator[EdgeMap]:
        """Detects the edges of any number of images of any sizes: one EdgeMap (N = 1) after the
        other.

        Args:
            images: loaded when their turn comes.
            settings: how they are read; None: the default.
            batch_size: up to so many neighbours that are read at one size share a pass.
            changes: single settings by name.
        """
        chosen = self.chosen(settings, changes)
        return self._in_batches(
            (self.prepare(image, chosen) for image in images), chosen, batch_size
        )

    def chosen(self, settings: Settings | None, changes: dict[str, Any]) -> Settings:
        """The settings with these changes.

        Raises:
            ValueError: a setting does not fit.
        """
        return replace(self.default if settings is None else settings, **changes)  # type: ignore[type-var]

    def _detect(
        self, images: ImageSource | list[Any], settings: Settings, batch_size: int, **reading: Any
    ) -> EdgeMap:
        """As `__call__`; `reading` goes to `read`."""
        loaded = read_images(images)
        if len(sizes := {image.pixels.shape[:2] for image in loaded}) > 1:
            raise ValueError(
                f"the images have {len(sizes)} sizes and fit no single array; iterate over "
                f"{self.called}.each(images) instead"
            )
        names = images if isinstance(images, list | tuple) else [images] * len(loaded)
        prepare = self.preparation(settings)
        prepared = (
            replace(prepare(one.pixels, _stem(name)), notes=one.notes)
            for one, name in zip(loaded, names, strict=True)
        )
        return stack_edge_maps(list(self._in_batches(prepared, settings, batch_size, **reading)))

    def _in_batches(
        self, prepared: Iterable[Prepared], settings: Settings, batch_size: int, **reading: Any
    ) -> Iterator[EdgeMap]:
        """The edges of each; up to `batch_size` neighbours of one size are read together."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        for _, alike in groupby(prepared, key=lambda one: one.size):
            while batch := list(islice(alike, batch_size)):
                for one, read in zip(batch, self.read(batch, settings, **reading), strict=True):
                    yield self.draw(read, one, settings)


def _stem(image: object) -> str:
    return Path(image).stem if isinstance(image, str | PathLike) else ""
