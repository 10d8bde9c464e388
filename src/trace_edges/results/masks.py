"""Masks of the instances in one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from trace_edges.results.archive import read_archive, unpacked, write_archive
from trace_edges.results.showing import Shown

if TYPE_CHECKING:
    from PIL.Image import Image

_FORM = "trace-edges instance masks 1"


@dataclass(frozen=True, eq=False, repr=False)
class InstanceMasks(Shown):
    """Masks of the instances in one image; they may overlap and have holes and several parts.

    Attributes:
        masks: (n, H, W) one per instance, each with at least one pixel.
        scores: (n,) in [0, 1], the larger the surer; 1 where nothing ranks them.
        settings: what the masks were made with, plain JSON values.
    """

    masks: Bool[np.ndarray, "n h w"]
    scores: Float32[np.ndarray, " n"]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.dtype != np.bool_:
            raise ValueError(
                f"masks must be boolean (n, H, W), not {self.masks.dtype} {self.masks.shape}"
            )
        if self.scores.shape != self.masks.shape[:1]:
            raise ValueError(
                f"{len(self.masks)} masks need as many scores, not {self.scores.shape}"
            )
        if self.scores.size and not (self.scores.min() >= 0 and self.scores.max() <= 1):
            raise ValueError("scores must lie in [0, 1] and hold no NaN")
        if not self.masks.any(axis=(1, 2)).all():
            raise ValueError("a mask without a pixel is no instance: leave it out")

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(
        self, which: int | slice | np.ndarray | list[int] | list[bool]
    ) -> InstanceMasks:
        """Some of the instances: by index, slice, list of indices or boolean array (n,)."""
        if isinstance(which, int | np.integer):
            index = range(len(self))[which]  # raises the IndexError that ends an iteration
            which = slice(index, index + 1)
        elif not isinstance(which, slice) and not len(which):
            which = slice(0)  # an empty list has no type that numpy indexes with
        return InstanceMasks(self.masks[which], self.scores[which], self.settings)

    def __iter__(self) -> Iterator[InstanceMasks]:
        """Every instance as a result of its own, n = 1."""
        return (self[index] for index in range(len(self)))

    def __add__(self, other: InstanceMasks) -> InstanceMasks:
        """The instances of both, which are of one image; the settings are those of the first.

        Raises:
            ValueError: the sizes of the images differ.
        """
        if self.shape != other.shape:
            raise ValueError(f"masks of {self.shape} and of {other.shape} (height, width) are not "
                             "of one image")  # fmt: skip
        masks = np.concatenate([self.masks, other.masks])
        return InstanceMasks(masks, np.concatenate([self.scores, other.scores]), self.settings)

    @property
    def facts(self) -> str:
        """One line: how many instances, of which size, and how much of the image they cover."""
        height, width = self.shape
        count = "1 instance" if len(self) == 1 else f"{len(self)} instances"
        covered = float(self.masks.any(axis=0).mean()) if self.masks.size else 0.0
        return f"{count} in {height} x {width} px, on {covered:.1%} of the pixels"

    def image(self) -> Image:
        """Every instance in a colour of its own with its contour, on white."""
        return self.overlay(np.full((*self.shape, 3), 255, dtype=np.uint8))

    def overlay(self, image: Any) -> Image:
        """The image with every instance tinted in a colour of its own and outlined in it.

        Args:
            image: the one that the masks are of; anything that `load_image` takes.

        Raises:
            ImageError: it cannot be read as an image.
            ValueError: it has another size.
        """
        from trace_edges.drawing.overlays import mask_overlay
        from trace_edges.images import load_image

        return mask_overlay(load_image(image), self.masks, self.label_map)

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz file (read it with `InstanceMasks.load`)."""
        arrays = {
            "masks": np.packbits(self.masks, axis=None),
            "shape": np.array(self.masks.shape),
            "scores": self.scores,
        }
        write_archive(path, _FORM, self.settings, arrays)

    @classmethod
    def load(cls, path: str | Path) -> InstanceMasks:
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            ValueError: the file holds no saved InstanceMasks.
        """
        return read_archive(path, _FORM, "instance masks", cls._built)

    @classmethod
    def _built(cls, data: dict[str, Any], settings: dict[str, Any]) -> InstanceMasks:
        if data["scores"].dtype.kind != "f":
            raise TypeError(f"scores are {data['scores'].dtype}")
        masks = unpacked(data["masks"], tuple(data["shape"].tolist()))
        return cls(masks, data["scores"], settings)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        _, height, width = self.masks.shape
        return height, width

    @property
    def areas(self) -> Int64[np.ndarray, " n"]:
        """Pixels of each mask."""
        return np.count_nonzero(self.masks, axis=(1, 2))

    @property
    def boxes(self) -> Int64[np.ndarray, "n 4"]:
        """(n, 4) left, top, right, bottom of each mask; right and bottom are exclusive."""
        ends = []
        for axis in (1, 2):  # over the rows: which columns a mask has; then over the columns
            has: Bool[np.ndarray, "n side"] = np.any(self.masks, axis=axis)
            ends.append((has.argmax(axis=1), has.shape[1] - has[:, ::-1].argmax(axis=1)))
        (left, right), (top, bottom) = ends
        return np.stack([left, top, right, bottom], axis=1)

    @property
    def label_map(self) -> Int32[np.ndarray, "h w"]:
        """(H, W) 0 where no instance is, else 1 + its index; the smaller mask lies on top."""
        labels = np.zeros(self.shape, dtype=np.int32)
        for index in np.argsort(-self.areas, kind="stable"):
            labels[self.masks[index]] = index + 1
        return labels

    @classmethod
    def from_labels(
        cls, labels: np.ndarray, background: int = 0, settings: Mapping[str, Any] | None = None
    ) -> InstanceMasks:
        """One mask per number in a label map (H, W), but for `background`; scores are 1.

        Raises:
            ValueError: a number is below 0, as maps have it that mark borders or void with -1.
        """
        labels = np.asarray(labels)
        if labels.size and labels.min() < 0:
            raise ValueError(f"a label map holds {labels.min()}: numbers of instances are 0 or "
                             "more; give pixels without an instance the background's")  # fmt: skip
        numbers = np.unique(labels)
        numbers = numbers[numbers != background]
        masks = labels[None] == numbers[:, None, None]  # (n, H, W)
        return cls(masks, np.ones(len(masks), dtype=np.float32), settings or {})
