"""Cache of a teacher's maps of many photographs, each under a digest of what it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from trace_edges.distillation.labels import Labels, LabelSettings
from trace_edges.distillation.teachers import Teacher, View
from trace_edges.files import write_atomically
from trace_edges.formats.arrays import load_array
from trace_edges.images import ImageError, load_image


class LabelCache:
    """Maps by photograph and view; labels are made of them when they are asked for.

    Several processes may fill one folder: a file appears whole under the digest of the photograph's
    bytes and of the view's description, or not at all, so equal work gives equal files.

    Args:
        folder: where the maps lie.
        teacher: whose maps they are.
    """

    def __init__(self, folder: Path, teacher: Teacher) -> None:
        self.folder, self.teacher = folder, teacher

    def path(self, photograph: Path, view: View | None = None) -> Path:
        """Where the map of this photograph lies, or will; of the first view, if none is given."""
        description = (view or self.teacher.views[0]).description
        digest = blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16)
        digest.update(photograph.read_bytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def maps(self, photograph: Path) -> list[Float32[np.ndarray, "gh gw"]]:
        """A map for each of the teacher's views, read from the cache or made and kept.

        Raises:
            ImageError: the photograph cannot be used.
            FileError: a map in the cache is damaged.
            OSError: it cannot be read, or the cache not be written.
        """
        return [self._map(photograph, view) for view in self.teacher.views]

    def labels(
        self, photograph: Path, image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Labels of a photograph, at the pixels of `image`, which shows it resized."""
        return self.teacher.labels(self.maps(photograph), image, settings)

    def fill(self, photographs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """Make what is missing; every photograph with why it cannot be used, or an empty string."""
        for photograph in photographs:
            try:
                self.maps(photograph)
            except ImageError as error:
                yield photograph, str(error)
            else:
                yield photograph, ""

    def _map(self, photograph: Path, view: View) -> Float32[np.ndarray, "gh gw"]:
        path = self.path(photograph, view)
        if not path.exists():
            made = view.read(load_image(photograph))
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path) as temporary, temporary.open("wb") as file:
                np.save(file, made)
        return load_array(path, "remove it, so that the same command makes it again")
