"""A folder of edge maps as a source: edges that `detect` or anybody's detector made before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from trace_edges.files import read_json
from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map
from trace_edges.formats.folders import NamedFiles
from trace_edges.images.stored import TURNED_IN_SIZE
from trace_edges.sources import EdgeError, EdgeSource, Preparation, Prepared, Reading, Size


@dataclass(frozen=True)
class FolderSettings:
    """There is nothing to set: the edges are there."""


def record_beside(edges: Path) -> Path:
    """Where `detect` puts the record of an edge map."""
    return edges.with_name(f"{edges.stem.removesuffix('.edges')}.json")


def _read_record(path: Path) -> dict[str, Any]:
    """Empty where there is none, or somebody's of another kind."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def made_with(maps: Iterable[Path]) -> dict[str, Any]:
    """`EdgeFolder.made_with` of these edge maps."""
    record = next((path for path in map(record_beside, maps) if path.is_file()), None)
    settings = {} if record is None else _read_record(record).get("settings")
    return settings if isinstance(settings, dict) else {}


@dataclass(frozen=True)
class StoredDrawing:
    """Edges that are there, as they are; their lines are wherever they are above 0."""

    def __call__(
        self, values: Float32[np.ndarray, "gh gw"], size: Size
    ) -> tuple[Float32[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
        return values, values > 0


class EdgeFolder(EdgeSource[FolderSettings]):
    """The edge maps of a folder, as `trace-edges detect` and others write them, by image name.

    Raises:
        ValueError: there is no such folder, no map in it, or two of one image.
    """

    default = FolderSettings()

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._maps = NamedFiles(find_edge_maps(self.folder))
        self._found: dict[str, Path | None] = {}
        # Results lists name images by number alone: 139 is 000000000139.
        paths = self._maps.paths.items()
        self._numbered = {int(name): path for name, path in paths if _digits(name)}

    def expect(self, names: Collection[str]) -> None:
        """Find the maps of all images that will be asked for: of those of one name in two folders
        no map that knows no folders is taken.
        """
        maps = self._maps.of(names)
        self._found = {name: maps.get(name) for name in names}

    def path_of(self, name: str) -> Path | None:
        """The map of an image; None where there is none."""
        if name not in self._found:
            self._found |= {name: self._maps.of([name]).get(name)}
        path = self._found[name]
        return self._numbered.get(int(name)) if path is None and _digits(name) else path

    @property
    def made_with(self) -> dict[str, Any]:
        """What the edges were made with, as the first record says that `detect` wrote beside its
        map; empty where there is none.
        """
        return made_with(self._maps.paths.values())

    def turned(self, name: str) -> str:
        """The note of an image that lay on its head or was a mirror image before its edges were
        detected, whose size tells nothing of that; else empty.
        """
        path = self.path_of(name)
        notes = [] if path is None else _read_record(record_beside(path)).get("notes")
        for note in notes if isinstance(notes, list) else ():
            if note in TURNED_IN_SIZE:
                return f"its photograph was {note}: masks drawn on the stored pixels do not fit"
        return ""

    def preparation(self, settings: FolderSettings) -> Preparation:
        """An image is only asked for its name and size."""
        return Preparation(None)

    def drawing(self, settings: FolderSettings) -> StoredDrawing:
        """Stored edges stay as they are."""
        return StoredDrawing()

    def describe(self, settings: FolderSettings | None = None) -> dict[str, Any]:
        """Where the edges lie."""
        return {"edges": str(self.folder)}

    def record(self, reading: Reading, prepared: Prepared) -> dict[str, Any]:
        """Nothing beside that."""
        return {}

    def read(
        self, batch: Sequence[Prepared], settings: FolderSettings, *, attention: bool = False
    ) -> list[Reading]:
        """The stored edges of each image.

        Raises:
            EdgeError: an image has none, or of another size.
            ValueError: `attention` is asked for.
        """
        if attention:
            raise ValueError("stored edges have no attention: read it from a TraceEdgePipeline")
        readings = []
        for one in batch:
            try:
                edges = self.edges(one.name)
            except (OSError, ValueError) as error:
                raise EdgeError(" ".join(str(error).split())) from error
            if one.shape is not None and edges.shape != one.shape:
                raise EdgeError(
                    f"{one.name}: its edges are {edges.shape} and the image {one.shape} "
                    "(height, width): give those of the image"
                )
            readings.append(Reading(edges, None))
        return readings

    def edges(self, name: str) -> Float32[np.ndarray, "h w"]:
        """Edges of an image in [0, 1].

        Raises:
            ValueError: there are none, or the file holds something else.
        """
        path = self.path_of(name)
        if path is None:
            raise ValueError(f"{self.folder} holds no edge map of {name}: make it, or leave "
                             "the image out")  # fmt: skip
        values = read_edge_map(path)
        if np.issubdtype(values.dtype, np.integer):
            return values.astype(np.float32) / np.iinfo(values.dtype).max
        return values.astype(np.float32)


def _digits(name: str) -> bool:
    return name.isascii() and name.isdigit()
