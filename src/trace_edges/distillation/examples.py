"""Examples that the student is shown: crops of photographs with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from trace_edges.detector.pixels import PixelStudent
from trace_edges.detector.student import Student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.labels import Labels
from trace_edges.distillation.pasting import paste
from trace_edges.distillation.settings import DistillationSettings
from trace_edges.distillation.sprites import Sprite
from trace_edges.images import load_image, model_size, resize_image, to_tensor

_PASTING = 2  # keeps what is pasted apart from the crops of training and validation

# Image, features, target and counts.
_Crop = tuple[Tensor, Tensor | None, Tensor, Tensor]


@dataclass(frozen=True)
class Example:
    """One photograph at the student's resolution.

    Attributes:
        image: as the student sees it.
        labels: of its pixels.
        features: of the decoder's input; kept where the denoiser never changes.
    """

    image: UInt8[np.ndarray, "h w 3"]
    labels: Labels
    features: Float[Tensor, "c gh gw"] | None


@dataclass(frozen=True)
class Batch:
    """Crops of one size, ready for the student."""

    images: Float32[Tensor, "b 3 s s"]
    features: Float32[Tensor, "b c g g"] | None
    target: Float32[Tensor, "b s s"]
    counts: Bool[Tensor, "b s s"]


def read_examples(
    paths: Sequence[Path],
    cache: LabelCache,
    student: Student | PixelStudent,
    settings: DistillationSettings,
    sprites: Sequence[Sprite] = (),
) -> list[Example]:
    """Read photographs with their labels, and their features if the denoiser is frozen.

    Args:
        paths: of the photographs.
        cache: of the teacher's maps.
        student: that is shown them.
        settings: of the run; `pasted` is how many more versions of each there are.
        sprites: objects that are pasted in these.
    """
    plain = [_read(path, cache, student, settings) for path in paths]
    versions = list(plain)
    for number, (image, labels) in enumerate(plain * settings.pasted):
        rng = np.random.default_rng((settings.seed, _PASTING, number))
        versions.append(paste(image, labels, plain, sprites, settings.labels.sigma, rng))
    return [Example(*version, _features(student, version[0])) for version in versions]


def _read(
    path: Path,
    cache: LabelCache,
    student: Student | PixelStudent,
    settings: DistillationSettings,
) -> tuple[UInt8[np.ndarray, "h w 3"], Labels]:
    """A photograph as the student sees it, and its labels."""
    photograph = load_image(path)
    height, width, _ = photograph.shape
    size = model_size(height, width, settings.resolution, student.cell)
    image = resize_image(photograph, size)
    return image, cache.labels(path, image, settings.labels)


@torch.no_grad()
def _features(
    student: Student | PixelStudent, image: UInt8[np.ndarray, "h w 3"]
) -> Float[Tensor, "c gh gw"] | None:
    """What the decoder reads of an image, if training does not change it."""
    if isinstance(student, PixelStudent) or not student.fixed_features:
        return None
    return student.features(to_tensor(image)[None])[0][0].half().cpu()


def draw_batch(
    examples: Sequence[Example], settings: DistillationSettings, cell: int, *entropy: int
) -> Batch:
    """Draw random crops, mirrored half of the time; `entropy` (seed, step, ...) decides all.

    Nothing is remembered between batches, so a run that goes on draws what an undisturbed one does.
    """
    rng = np.random.default_rng(entropy)
    cells = min(settings.crop // cell, *(min(e.image.shape[:2]) // cell for e in examples))
    crops = [
        _crop(examples[index], cells, cell, rng)
        for index in rng.integers(len(examples), size=settings.batch_size)
    ]
    images, features, targets, counts = zip(*crops, strict=True)
    return Batch(
        torch.stack(images),
        None if features[0] is None else torch.stack(features),
        torch.stack(targets),
        torch.stack(counts),
    )


def _crop(example: Example, cells: int, cell: int, rng: np.random.Generator) -> _Crop:
    height, width = (side // cell for side in example.image.shape[:2])
    top, left = rng.integers(height - cells + 1), rng.integers(width - cells + 1)
    mirrored = rng.random() < 0.5
    grid = np.s_[top : top + cells, left : left + cells]
    pixels = np.s_[top * cell : (top + cells) * cell, left * cell : (left + cells) * cell]

    def cut(values: np.ndarray) -> np.ndarray:  # (S, S, ...)
        crop = values[pixels]
        return np.ascontiguousarray(crop[:, ::-1] if mirrored else crop)

    features = example.features
    if features is not None:
        features = features[:, *grid].float()
        features = features.flip(-1) if mirrored else features
    return (
        to_tensor(cut(example.image)),
        features,
        torch.from_numpy(cut(example.labels.target)),
        torch.from_numpy(cut(example.labels.counts)),
    )
