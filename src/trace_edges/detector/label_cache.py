"""The teacher's divergence of many photographs, kept on disk under what it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from trace_edges.files import write_atomically
from trace_edges.images import ImageError, load_image
from trace_edges.pipeline import TraceEdgePipeline
from trace_edges.settings import TraceSettings


@dataclass(frozen=True)
class Averaging:
    """Looks of the teacher whose divergence is averaged, against what is chance in one look.

    Attributes:
        timesteps: read instead of the teacher's own.
        seeds: of the noise, instead of the teacher's own.
        mirror: look at the mirrored photograph as well.
    """

    timesteps: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    mirror: bool = False

    def looks(self, settings: TraceSettings) -> list[tuple[TraceSettings, bool]]:
        """All combinations: how the teacher looks, and whether at the mirrored photograph."""
        return [
            (replace(settings, timestep=timestep, seed=seed), mirrored)
            for timestep in self.timesteps or (settings.timestep,)
            for seed in self.seeds or (settings.seed,)
            for mirrored in (False, True)[: 1 + self.mirror]
        ]


class LabelCache:
    """Divergence by photograph and settings.

    Several processes may fill one folder: a file appears whole under the digest of the photograph's
    bytes, the settings and the teacher's weights, or not at all, so equal work gives equal files.

    Args:
        folder: where the maps lie.
        teacher: the training-free pipeline.
        settings: how it looks.
        averaging: several looks at a photograph; each is kept by itself.
    """

    def __init__(
        self,
        folder: Path,
        teacher: TraceEdgePipeline,
        settings: TraceSettings,
        averaging: Averaging | None = None,
    ) -> None:
        self.folder, self.teacher = folder, teacher
        self.looks = (averaging or Averaging()).looks(settings)
        self._weights = teacher.backbone.fingerprint()

    def path(self, image: Path, look: tuple[TraceSettings, bool] | None = None) -> Path:
        """Where the divergence of this photograph lies, or will; of the first look, if not said."""
        settings, mirrored = look or self.looks[0]
        made_with = self.teacher.describe(settings) | {"backbone": self._weights}
        if mirrored:
            made_with["mirrored"] = True
        digest = blake2b(json.dumps(made_with, sort_keys=True).encode(), digest_size=16)
        digest.update(image.read_bytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def divergence(self, image: Path) -> Float32[np.ndarray, "gh gw"]:
        """ABDiv in nats on the grid, read from the cache or made and kept.

        Raises:
            ImageError: the photograph cannot be used.
            OSError: it cannot be read, or the cache not be written.
        """
        seen = [self._seen(image, look) for look in self.looks]
        return np.asarray(np.mean(seen, axis=0, dtype=np.float32))

    def fill(self, images: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        """Make what is missing; every photograph with why it cannot be used, or an empty string."""
        for image in images:
            try:
                self.divergence(image)
            except ImageError as error:
                yield image, str(error)
            else:
                yield image, ""

    def _seen(self, image: Path, look: tuple[TraceSettings, bool]) -> Float32[np.ndarray, "gh gw"]:
        path = self.path(image, look)
        if not path.exists():
            settings, mirrored = look
            picture = load_image(image)
            picture = picture[:, ::-1].copy() if mirrored else picture
            ((made, _),) = self.teacher.read([picture], settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(path) as temporary, temporary.open("wb") as file:
                np.save(file, made[:, ::-1] if mirrored else made)
        return np.load(path, allow_pickle=False)
