"""The teacher's divergence of many photographs, kept on disk under what it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from trace_edges.files import write_atomically
from trace_edges.images import ImageError, load_image
from trace_edges.pipeline import TraceEdgePipeline
from trace_edges.settings import TraceSettings


class LabelCache:
    """Divergence by photograph and settings.

    Several processes may fill one folder: a file appears whole under the digest of the photograph's
    bytes, the settings and the teacher's weights, or not at all, so equal work gives equal files.

    Args:
        folder: where the maps lie.
        teacher: the training-free pipeline.
        settings: how it looks.
    """

    def __init__(self, folder: Path, teacher: TraceEdgePipeline, settings: TraceSettings) -> None:
        self.folder, self.teacher, self.settings = folder, teacher, settings
        described = teacher.describe(settings) | {"backbone": teacher.backbone.fingerprint()}
        self._made_with = json.dumps(described, sort_keys=True).encode()

    def path(self, image: Path) -> Path:
        """Where this photograph's divergence lies, or will."""
        digest = blake2b(self._made_with, digest_size=16)
        digest.update(image.read_bytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def divergence(self, image: Path) -> Float32[np.ndarray, "gh gw"]:
        """ABDiv in nats on the grid, read from the cache or made and kept.

        Raises:
            ImageError: the photograph cannot be used.
            OSError: it cannot be read, or the cache not be written.
        """
        path = self.path(image)
        if not path.exists():
            ((made, _),) = self.teacher.read([load_image(image)], self.settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path) as temporary, temporary.open("wb") as file:
                np.save(file, made)
        return np.load(path, allow_pickle=False)

    def fill(self, images: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """Make what is missing; every photograph with why it cannot be used, or an empty string."""
        for image in images:
            try:
                self.divergence(image)
            except ImageError as error:
                yield image, str(error)
            else:
                yield image, ""
