"""What every method ends in: frozen, validated results on plain numpy."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from trace_edges.files import write_atomically

VOID = -1  # the category of a pixel that has none; files have numbers of their own for it

_FORMAT = "trace-edges edge map 1"


@dataclass(frozen=True)
class Emergence:
    """The Instance Emergence Point of N images (section 3.2).

    Attributes:
        timesteps: (S,) the steps that were visited, ascending.
        curve: (N, S - 1) KL(SA(X_tprev) || SA(X_t)) in nats; entry i belongs to `timesteps[i + 1]`.
        timestep: (N,) the step whose attention gave the edges: t*, or the one that was asked for.
    """

    timesteps: Int64[np.ndarray, " s"]
    curve: Float32[np.ndarray, "n s1"]
    timestep: Int64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        if self.curve.shape != (len(self.timestep), len(self.timesteps) - 1):
            raise ValueError(
                f"{len(self.timesteps)} steps of {len(self.timestep)} images need a curve of shape "
                f"{(len(self.timestep), len(self.timesteps) - 1)}, got {self.curve.shape}"
            )
        if not np.isin(self.timestep, self.timesteps).all():
            raise ValueError(f"timestep {self.timestep} was not visited: {self.timesteps}")

    def __len__(self) -> int:
        return len(self.timestep)

    def __getitem__(self, images: slice) -> Emergence:
        """Of some of the images."""
        return Emergence(self.timesteps, self.curve[images], self.timestep[images])


@dataclass(frozen=True)
class EdgeMap:
    """Instance edges of N images of one size.

    Attributes:
        edges: (N, H, W) float32 in [0, 1], H x W of the input: how strongly two instances differ
            here. Training-free E / (E + e0) of the divergence E, else a detector's probability. A
            smooth map, bands of about one attention cell.
        ridges: (N, H, W) where the lines run: `edges` peaks across the boundary.
        raw: (N, h, w) ABDiv in nats, >= 0, on the attention grid (finer with `subcell`); None from
            a method that measures none.
        emergence: the KL curve and the step that was used; None from a method that has none.
        settings: what the edges were made with, plain JSON values.
    """

    edges: Float32[np.ndarray, "n h w"]
    ridges: Bool[np.ndarray, "n h w"]
    raw: Float32[np.ndarray, "n gh gw"] | None = None
    emergence: Emergence | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.edges.ndim != 3 or self.edges.shape != self.ridges.shape:
            raise ValueError(
                f"edges {self.edges.shape} and ridges {self.ridges.shape} must both be (N, H, W)"
            )
        if self.raw is not None and len(self.raw) != len(self.edges):
            raise ValueError(f"{len(self.edges)} edges and {len(self.raw)} raw maps are not of the "
                             "same images")  # fmt: skip
        if self.emergence is not None and len(self.emergence) != len(self.edges):
            raise ValueError(f"{len(self.edges)} edges and {len(self.emergence)} emergence points "
                             "are not of the same images")  # fmt: skip
        if self.edges.size and not (self.edges.min() >= 0 and self.edges.max() <= 1):
            raise ValueError("edges must lie in [0, 1] and hold no NaN")

    def __len__(self) -> int:
        return len(self.edges)

    def __getitem__(self, index: int) -> EdgeMap:
        """The result of one image, as an EdgeMap with N = 1."""
        index = range(len(self))[index]  # raises the IndexError that ends an iteration
        one = slice(index, index + 1)
        raw = None if self.raw is None else self.raw[one]
        emergence = None if self.emergence is None else self.emergence[one]
        return EdgeMap(self.edges[one], self.ridges[one], raw, emergence, self.settings)

    @property
    def thin(self) -> Float32[np.ndarray, "n h w"]:
        """Edges after non-maximum suppression across the boundary: 0 off the ridges."""
        return np.where(self.ridges, self.edges, np.float32(0))

    @property
    def crests(self) -> Bool[np.ndarray, "n h w"]:
        """The name of `ridges` in 0.1; it goes with the next release."""
        warnings.warn("EdgeMap.crests is called ridges now", DeprecationWarning, stacklevel=2)
        return self.ridges

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz file (compressed; read it with `EdgeMap.load`)."""
        arrays = {"edges": self.edges, "ridges": np.packbits(self.ridges, axis=None)}
        if self.raw is not None:
            arrays["raw"] = self.raw
        if self.emergence is not None:
            arrays |= vars(self.emergence)
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.array(_FORMAT),
                settings=np.array(json.dumps(dict(self.settings))),
                **arrays,  # type: ignore[arg-type]
            )

    @classmethod
    def load(cls, path: str | Path) -> EdgeMap:
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            ValueError: the file is no saved EdgeMap.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                data = {name: stored[name] for name in stored.files}
        except FileNotFoundError:
            raise
        except (BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error) as error:
            # A TypeError: the file holds a single array, which is no context manager.
            raise ValueError(f"{path} is not an edge map saved by trace-edges") from error
        if str(data.get("format")) != _FORMAT:
            raise ValueError(f"{path} is not an edge map saved by trace-edges")
        packed = data["ridges"] if "ridges" in data else data["crests"]  # as 0.1 called them
        shape, count = data["edges"].shape, data["edges"].size
        ridges = np.unpackbits(packed, count=count).astype(bool).reshape(shape)  # (N, H, W)
        raw, emergence = data.get("raw"), None
        if raw is not None and not raw.size:  # 0.1 wrote empty maps where a method has none
            raw = None
        elif "curve" in data:
            emergence = Emergence(data["timesteps"], data["curve"], data["timestep"])
        return cls(data["edges"], ridges, raw, emergence, json.loads(str(data["settings"])))


def stack_edge_maps(results: Sequence[EdgeMap]) -> EdgeMap:
    """One EdgeMap of N images of one size from N of one image, made by one method with the same
    settings.
    """
    raws = [result.raw for result in results if result.raw is not None]
    points = [result.emergence for result in results if result.emergence is not None]
    emergence = None
    if points:
        curve = np.concatenate([point.curve for point in points])
        timestep = np.concatenate([point.timestep for point in points])
        emergence = Emergence(points[0].timesteps, curve, timestep)
    return EdgeMap(
        np.concatenate([result.edges for result in results]),
        np.concatenate([result.ridges for result in results]),
        np.concatenate(raws) if raws else None,
        emergence,
        results[0].settings,
    )


@dataclass(frozen=True, eq=False)
class InstanceMasks:
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
        """One mask per number in a label map (H, W), but for `background`; scores are 1."""
        numbers = np.unique(labels)
        numbers = numbers[numbers != background]
        masks = labels[None] == numbers[:, None, None]  # (n, H, W)
        return cls(masks, np.ones(len(masks), dtype=np.float32), settings or {})


@dataclass(frozen=True)
class Category:
    """A class: countable things, or stuff."""

    id: int
    name: str
    thing: bool


@dataclass(frozen=True)
class Segment:
    """One segment: an instance of a thing class, or all of a stuff class.

    Attributes:
        id: its number in the map, 1 or more.
        category: number of its class.
        thing: whether the class has instances.
        score: in [0, 1].
    """

    id: int
    category: int
    thing: bool
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class PanopticMap:
    """Segments of one image.

    Attributes:
        ids: (H, W) number of the segment of each pixel, 0 for none.
        segments: every number in `ids` but 0, once, and no other.
        settings: what the map was made with, plain JSON values.
    """

    ids: Int32[np.ndarray, "h w"]
    segments: tuple[Segment, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ids.ndim != 2:
            raise ValueError(f"ids must be (H, W), not {self.ids.shape}")
        drawn = set(np.unique(self.ids).tolist()) - {0}
        listed = [segment.id for segment in self.segments]
        if drawn != set(listed) or len(listed) != len(drawn):
            odd = sorted(drawn.symmetric_difference(listed)) or "a number listed twice"
            raise ValueError(f"segments and the numbers in the map differ: {odd}")
        stuff = [segment.category for segment in self.segments if not segment.thing]
        if len(stuff) != len(set(stuff)):
            raise ValueError("a stuff class is one segment: give its pixels one number")
