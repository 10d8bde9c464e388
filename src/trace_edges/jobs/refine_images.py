"""What the ways of refining files share: edges by image name, images in turn, a record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float32

from trace_edges.files import write_json
from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map
from trace_edges.instances.bgp import Propagation
from trace_edges.instances.components import cut_pixels

T = TypeVar("T")
Progress = Callable[[int, int], object]

_MOST_EDGES = 0.5  # of an image: drawn boundaries are a few percent


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Attributes:
        image: its name.
        before, after: how many masks it had and has; of a semantic map, classes and segments.
        message: why it failed; empty if it did not.
    """

    image: str
    before: int = 0
    after: int = 0
    message: str = ""


@dataclass(frozen=True)
class Done(Generic[T]):
    """The result of one image, and what `ImageOutcome` counts."""

    result: T
    before: int
    after: int


class EdgeFolder:
    """The edge maps of a folder, as `trace-edges detect` and others write them.

    Raises:
        ValueError: there is no such folder, no map in it, or two of one image.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = find_edge_maps(folder)
        # Results lists name images by number alone: 139 is 000000000139.
        self._numbered = {int(name): path for name, path in self._paths.items() if _digits(name)}

    def read(self, name: str) -> Float32[np.ndarray, "h w"]:
        """Edges of an image in [0, 1].

        Raises:
            ValueError: there are none, or the file holds something else.
        """
        path = self._paths.get(name)
        if path is None and _digits(name):
            path = self._numbered.get(int(name))
        if path is None:
            raise ValueError(f"{self.folder} holds no edge map of {name}: make it, or leave "
                             "the image out")  # fmt: skip
        values = read_edge_map(path)
        if np.issubdtype(values.dtype, np.integer):
            return values.astype(np.float32) / np.iinfo(values.dtype).max
        return values.astype(np.float32)

    def read_lines(self, name: str, propagation: Propagation) -> Float32[np.ndarray, "h w"]:
        """Edges of an image that are to cut masks.

        Raises:
            ValueError: as in `read`; or most of the image would count as an edge, as in a smooth
                map that is nowhere near 0, and nothing would be cut.
        """
        edges = self.read(name)
        share = cut_pixels(edges, propagation.threshold, propagation.hysteresis).mean()
        if share > _MOST_EDGES:
            raise ValueError(
                f"{self.folder}: {share:.0%} of {name} is edge at threshold "
                f"{propagation.threshold}: give thin edges (detect without --soft), or a higher one"
            )
        return edges


def one_by_one(
    names: Collection[str],
    work: Callable[[str], Done[T]],
    outcomes: list[ImageOutcome],
    progress: Progress | None,
) -> Iterator[tuple[str, T]]:
    """The results of the images that can be read and refined; `outcomes` grows by all of them."""
    for name in names:
        try:
            done = work(name)
        except (OSError, ValueError) as error:
            outcomes.append(ImageOutcome(name, message=_line(error)))
        else:
            outcomes.append(ImageOutcome(name, done.before, done.after))
            yield name, done.result
        if progress is not None:
            progress(len(outcomes), len(names))


def write_settings(
    path: Path,
    files: Mapping[str, Path],
    settings: Mapping[str, Any],
    outcomes: Collection[ImageOutcome],
) -> None:
    """Write what was refined, how, and which images failed, as one JSON object."""
    record = {
        "files": {role: str(file) for role, file in files.items()},
        "settings": dict(settings),
        "images": len(outcomes),
        "before": sum(outcome.before for outcome in outcomes),
        "after": sum(outcome.after for outcome in outcomes),
        "failed": {one.image: one.message for one in outcomes if one.message},
        "trace_edges": version("trace-edges"),
    }
    write_json(record, path, indent=1)


def _digits(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _line(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
