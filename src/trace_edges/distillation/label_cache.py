"""What a teacher saw of many photographs, kept on disk under what it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from trace_edges.distillation.labels import Labels, LabelSettings
from trace_edges.distillation.teachers import Look, Teacher
from trace_edges.files import write_atomically
from trace_edges.images import ImageError, load_image


class LabelCache:
    """Maps by photograph and look; labels are made of them when they are asked for.

    Several processes may fill one folder: a file appears whole under the digest of the photograph's
    bytes and of what the look is made with, or not at all, so equal work gives equal files.

    Args:
        folder: where the maps lie.
        teacher: who looks.
    """

    def __init__(self, folder: Path, teacher: Teacher) -> None:
        self.folder, self.teacher = folder, teacher

    def path(self, image: Path, look: Look | None = None) -> Path:
        """Where the map of this photograph lies, or will; of the first look, if not said."""
        made_with = (look or self.teacher.looks[0]).made_with
        digest = blake2b(json.dumps(made_with, sort_keys=True).encode(), digest_size=16)
        digest.update(image.read_bytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def seen(self, image: Path) -> list[Float32[np.ndarray, "gh gw"]]:
        """A map for each of the teacher's looks, read from the cache or made and kept.

        Raises:
            ImageError: the photograph cannot be used.
            OSError: it cannot be read, or the cache not be written.
        """
        return [self._seen(image, look) for look in self.teacher.looks]

    def labels(
        self, path: Path, image: UInt8[np.ndarray, "h w 3"], settings: LabelSettings
    ) -> Labels:
        """Labels of the photograph at `path`, at the pixels of `image`, which shows it resized."""
        return self.teacher.labels(self.seen(path), image, settings)

    def fill(self, images: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """Make what is missing; every photograph with why it cannot be used, or an empty string."""
        for image in images:
            try:
                self.seen(image)
            except ImageError as error:
                yield image, str(error)
            else:
                yield image, ""

    def _seen(self, image: Path, look: Look) -> Float32[np.ndarray, "gh gw"]:
        path = self.path(image, look)
        if not path.exists():
            made = look.see(load_image(image))
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path) as temporary, temporary.open("wb") as file:
                np.save(file, made)
        return np.load(path, allow_pickle=False)
