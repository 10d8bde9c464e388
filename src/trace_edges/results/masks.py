"""Masks of the instances in one image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from trace_edges.results.archive import Archived, unpacked
from trace_edges.results.labels import (
    Crop,
    Window,
    label_array,
    label_windows,
    painted,
    plain_array,
)
from trace_edges.results.showing import Shown

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

OBJECT = "object"  # the class of a mask of which nothing more is known
GROUND = "ground"


@dataclass(frozen=True, eq=False, repr=False, init=False)
class InstanceMasks(Shown, Archived):
    """Masks of the instances in one image; they may overlap and have holes and several parts.

    Every mask is held within its box, so that thousands of small ones in a large image need little
    memory; `masks` is all of them at the size of the image.

    Attributes:
        crops: each mask within its box.
        boxes: (n, 4) left, top, right, bottom of each mask in pixels; right and bottom are
            exclusive.
        shape: (H, W) of the image.
        scores: (n,) in [0, 1], the larger the surer; 1 where nothing ranks them.
        settings: what the masks were made with, plain JSON values.
        classes: the class of each mask, "object" where nothing tells it.
    """

    _form = "trace-edges instance masks 1"
    _called = "instance masks"

    crops: tuple[Crop, ...]
    boxes: Int64[np.ndarray, "n 4"]
    shape: tuple[int, int]
    scores: Float32[np.ndarray, " n"]
    settings: Mapping[str, Any]
    classes: tuple[str, ...]

    def __init__(
        self, masks: Any, scores: Any = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        """
        Args:
            masks: boolean (n, H, W), one mask per instance with at least one pixel each: an array,
                a tensor of torch on any device, or a list of (H, W).
            scores: n numbers in [0, 1]; None: 1 each.

        Raises:
            ValueError: they are not that.
        """
        stack = plain_array(masks)
        if stack.ndim != 3 or stack.dtype != np.bool_:
            raise ValueError(
                f"masks must be boolean (n, H, W), not {stack.dtype} {stack.shape}: compare soft "
                "masks with a threshold; without masks, give zeros of (0, H, W)"
            )
        windows, crops = [], []
        for mask in stack:
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            if not len(rows):
                raise ValueError("a mask without pixels is not an instance: leave it out")
            windows.append((slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)))
            crops.append(mask[windows[-1]].copy())
        self._hold(crops, _boxes(windows), stack.shape[1:], scores, settings)

    @classmethod
    def cropped(
        cls,
        windows: Sequence[Window],
        crops: Sequence[Crop],
        shape: tuple[int, ...],
        scores: Any = None,
        settings: Mapping[str, Any] | None = None,
    ) -> InstanceMasks:
        """From the rows and columns that each mask fills to their ends, and what it has there."""
        return cls._of(crops, _boxes(windows), shape, scores, settings)

    @classmethod
    def _of(cls, *values: Any) -> Self:
        made = cls.__new__(cls)
        made._hold(*values)
        return made

    def _hold(
        self,
        crops: Sequence[Crop],
        boxes: Int64[np.ndarray, "n 4"],
        shape: tuple[int, ...],
        scores: Any,
        settings: Mapping[str, Any] | None,
        classes: Iterable[str] | None = None,
    ) -> None:
        names = (OBJECT,) * len(crops) if classes is None else tuple(map(str, classes))
        if len(names) != len(crops):
            raise ValueError(f"{len(crops)} masks need as many classes, not {len(names)}")
        numbers = np.ones(len(crops)) if scores is None else plain_array(scores)
        if numbers.shape != (len(crops),):
            raise ValueError(f"{len(crops)} masks need as many scores, not {numbers.shape}")
        if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):
            raise ValueError("scores must lie in [0, 1] and hold no NaN")
        held = (tuple(crops), boxes, tuple(map(int, shape)), numbers.astype(np.float32))
        for name, value in zip(("crops", "boxes", "shape", "scores"), held, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "settings", settings or {})
        object.__setattr__(self, "classes", names)

    def named(self, classes: Iterable[str], scores: Any = None) -> InstanceMasks:
        """The same masks with these classes, one each; and with other scores, if they are given.

        Raises:
            ValueError: there are more or fewer than masks.
        """
        scores = self.scores if scores is None else scores
        return self._of(self.crops, self.boxes, self.shape, scores, self.settings, classes)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(
        self, which: int | slice | np.ndarray | list[int] | list[bool]
    ) -> InstanceMasks:
        """Some of the instances: by index, slice, list of indices or boolean array (n,)."""
        if isinstance(which, int | np.integer):
            index = range(len(self))[which]  # raises the IndexError that ends an iteration
            which = slice(index, index + 1)
        elif not isinstance(which, slice):
            which = plain_array(which)
            if which.ndim != 1:
                raise TypeError(f"masks are indexed by numbers or by {len(self)} booleans, not by "
                                f"{which}")  # fmt: skip
        kept = np.arange(len(self))[which if isinstance(which, slice) or len(which) else slice(0)]
        crops = [self.crops[index] for index in kept]
        classes = [self.classes[index] for index in kept]
        scores = self.scores[kept]
        return self._of(crops, self.boxes[kept], self.shape, scores, self.settings, classes)

    def __iter__(self) -> Iterator[InstanceMasks]:
        """Every instance as a result of its own, n = 1."""
        return (self[index] for index in range(len(self)))

    def __add__(self, other: InstanceMasks) -> InstanceMasks:
        """The instances of both, which are of one image; the settings are those of the first.

        Raises:
            ValueError: the sizes of the images differ.
        """
        if not isinstance(other, InstanceMasks):
            return NotImplemented
        if self.shape != other.shape:
            raise ValueError(f"masks of {self.shape} and of {other.shape} (height, width) are not "
                             "of one image")  # fmt: skip
        boxes, scores = (np.concatenate(pair) for pair in (
            (self.boxes, other.boxes), (self.scores, other.scores)
        ))  # fmt: skip
        classes = self.classes + other.classes
        return self._of(self.crops + other.crops, boxes, self.shape, scores, self.settings, classes)

    @cached_property
    def masks(self) -> Bool[np.ndarray, "n h w"]:
        """(n, H, W) every mask at the size of the image, made when it is first asked for and as
        large as that; read-only.
        """
        stack = np.zeros((len(self), *self.shape), dtype=bool)
        for mask, window, crop in zip(stack, self.windows, self.crops, strict=True):
            mask[window] = crop
        stack.flags.writeable = False  # what is written into it would reach no other property
        return stack

    @property
    def windows(self) -> list[Window]:
        """Rows and columns of each box, to index an image with."""
        return [
            (slice(top, bottom), slice(left, right))
            for left, top, right, bottom in self.boxes.tolist()
        ]

    def to(self, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """Tensors as torchvision's detectors take and give them: `boxes` (n, 4) float32, `labels`
        (n,) of ones, `masks` (n, H, W) uint8, and `scores` (n,).
        """
        import torch

        tensors = {
            "boxes": torch.from_numpy(self.boxes.astype(np.float32)),
            "labels": torch.ones(len(self), dtype=torch.int64),
            "masks": torch.from_numpy(self.masks.astype(np.uint8)),
            "scores": torch.from_numpy(self.scores.copy()),
        }
        return {name: tensor.to(device) for name, tensor in tensors.items()}

    @property
    def facts(self) -> str:
        """One line: how many instances, of which size, and how much of the image they cover."""
        height, width = self.shape
        count = "1 instance" if len(self) == 1 else f"{len(self)} instances"
        covered = float((self.label_map > 0).mean()) if height * width else 0.0
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

        return mask_overlay(load_image(image), self.windows, self.crops, self.label_map)

    def _arrays(self) -> dict[str, np.ndarray]:
        pixels = [crop.ravel() for crop in self.crops]
        return {
            "crops": np.packbits(np.concatenate([np.zeros(0, dtype=bool), *pixels])),
            "boxes": self.boxes,
            "shape": np.array(self.shape),
            "scores": self.scores,
            "classes": np.array(self.classes, dtype=np.str_),
        }

    @classmethod
    def _built(cls, data: dict[str, Any], settings: dict[str, Any]) -> Self:
        scores, shape = data["scores"], tuple(data["shape"].tolist())
        if scores.dtype.kind != "f":
            raise TypeError(f"scores are {scores.dtype}")
        boxes = data["boxes"].astype(np.int64)
        sides = boxes[:, [3, 2]] - boxes[:, [1, 0]]  # (n, 2) height, width
        ends = np.cumsum(sides.prod(axis=1))
        pixels = unpacked(data["crops"], (int(ends[-1]) if len(ends) else 0,))
        parts = np.split(pixels, ends)[:-1]
        crops = [part.reshape(side) for part, side in zip(parts, sides, strict=True)]
        height, width = shape
        inside = (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [width, height]).all()
        if min(shape) < 0 or not inside or not all(crop.any() for crop in crops):
            raise ValueError("boxes and masks do not fit the image")
        return cls._of(crops, boxes, shape, scores, settings, data["classes"].tolist())

    @property
    def areas(self) -> Int64[np.ndarray, " n"]:
        """Pixels of each mask."""
        return np.array([np.count_nonzero(crop) for crop in self.crops], dtype=np.int64)

    @property
    def label_map(self) -> Int32[np.ndarray, "h w"]:
        """(H, W) 0 where no instance is, else 1 + its index; the smaller mask lies on top."""
        return painted(self.windows, self.crops, self.shape, range(1, len(self) + 1))

    @classmethod
    def from_labels(
        cls, labels: Any, background: int = 0, settings: Mapping[str, Any] | None = None
    ) -> InstanceMasks:
        """One mask per number in a label map (H, W), but for `background`; scores are 1.

        Raises:
            ValueError: as in `label_array`.
        """
        labels = label_array(labels)
        windows = label_windows(labels)
        windows.pop(background, None)
        boxes, crops = [box for box, _ in windows.values()], [crop for _, crop in windows.values()]
        return cls.cropped(boxes, crops, labels.shape, None, settings)


def _boxes(windows: Sequence[Window]) -> Int64[np.ndarray, "n 4"]:
    edges = [(c.start, r.start, c.stop, r.stop) for r, c in windows]
    return np.array(edges, dtype=np.int64).reshape(-1, 4)
