"""Instance edges and the emergence point they were read at."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Float32, Int64

from trace_edges.files import write_atomically

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


@dataclass(frozen=True)
class EdgeMap:
    """Instance edges of N images of one size.

    Attributes:
        edges: (N, H, W) float32 in [0, 1], H x W of the input: how strongly two instances differ
            here, E / (E + e0) of the divergence E. A smooth map, bands of about one attention cell.
        crests: (N, H, W) where the lines run: `edges` peaks across the boundary.
        raw: (N, h, w) ABDiv in nats, >= 0, on the attention grid (finer with `refine`); (N, 0, 0)
            from a distilled detector, which measures none.
        emergence: the KL curve and the step that was used.
        settings: what the edges were made with, plain JSON values.
    """

    edges: Float32[np.ndarray, "n h w"]
    crests: Bool[np.ndarray, "n h w"]
    raw: Float32[np.ndarray, "n gh gw"]
    emergence: Emergence
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.edges.ndim != 3 or self.edges.shape != self.crests.shape:
            raise ValueError(
                f"edges {self.edges.shape} and crests {self.crests.shape} must both be (N, H, W)"
            )
        if not len(self.edges) == len(self.raw) == len(self.emergence.timestep):
            raise ValueError(
                f"{len(self.edges)} edges, {len(self.raw)} raw maps and "
                f"{len(self.emergence.timestep)} emergence points are not of the same images"
            )
        if self.edges.size and not (self.edges.min() >= 0 and self.edges.max() <= 1):
            raise ValueError("edges must lie in [0, 1] and hold no NaN")

    def __len__(self) -> int:
        return len(self.edges)

    def __getitem__(self, index: int) -> EdgeMap:
        """The result of one image, as an EdgeMap with N = 1."""
        index = range(len(self))[index]  # raises the IndexError that ends an iteration
        one = slice(index, index + 1)
        emergence = Emergence(
            self.emergence.timesteps, self.emergence.curve[one], self.emergence.timestep[one]
        )
        return EdgeMap(self.edges[one], self.crests[one], self.raw[one], emergence, self.settings)

    @property
    def thin(self) -> Float32[np.ndarray, "n h w"]:
        """Edges after non-maximum suppression across the boundary: 0 off the crests."""
        return np.where(self.crests, self.edges, np.float32(0))

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz file (compressed; read it with `EdgeMap.load`)."""
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.array(_FORMAT),
                edges=self.edges,
                crests=np.packbits(self.crests, axis=None),
                raw=self.raw,
                timesteps=self.emergence.timesteps,
                curve=self.emergence.curve,
                timestep=self.emergence.timestep,
                settings=np.array(json.dumps(dict(self.settings))),
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
        shape, count = data["edges"].shape, data["edges"].size
        crests = np.unpackbits(data["crests"], count=count).astype(bool).reshape(shape)  # (N, H, W)
        emergence = Emergence(data["timesteps"], data["curve"], data["timestep"])
        settings = json.loads(str(data["settings"]))
        return cls(data["edges"], crests, data["raw"], emergence, settings)


def stack_edge_maps(results: Sequence[EdgeMap]) -> EdgeMap:
    """One EdgeMap of N images of one size from N of one image, which share their settings."""
    points = [result.emergence for result in results]
    emergence = Emergence(
        points[0].timesteps,
        np.concatenate([point.curve for point in points]),
        np.concatenate([point.timestep for point in points]),
    )
    return EdgeMap(
        np.concatenate([result.edges for result in results]),
        np.concatenate([result.crests for result in results]),
        np.concatenate([result.raw for result in results]),
        emergence,
        results[0].settings,
    )
