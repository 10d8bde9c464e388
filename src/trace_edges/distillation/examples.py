"""Examples that the student is shown: crops of photographs with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from trace_edges.detector.pixels import AnyStudent
from trace_edges.detector.student import Student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.labels import Labels
from trace_edges.distillation.pasting import paste
from trace_edges.distillation.settings import DistillationSettings
from trace_edges.distillation.sprites import Sprite
from trace_edges.distillation.varying import change_light, draw_crop
from trace_edges.images import load_image, model_size, resize_image, to_tensor

_LIT = 0.7  # share of varied crops whose light is changed as a whole

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


def read_example(
    path: Path,
    cache: LabelCache,
    student: AnyStudent,
    settings: DistillationSettings,
) -> Example:
    """Read a photograph with its labels, and its features if training does not change them."""
    photograph = load_image(path)
    height, width, _ = photograph.shape
    size = model_size(height, width, settings.resolution, student.cell)
    image = resize_image(photograph, size)
    labels = cache.labels(path, image, settings.labels)
    features = None
    if isinstance(student, Student) and student.fixed_features:
        with torch.no_grad():
            features = student.features(to_tensor(image)[None])[0][0].half().cpu()
    return Example(image, labels, features)


def draw_batch(
    examples: Sequence[Example],
    settings: DistillationSettings,
    cell: int,
    *entropy: int,
    sprites: Sequence[Sprite] = (),
) -> Batch:
    """Draw random crops, mirrored half of the time; `entropy` (seed, step, ...) decides all.

    Nothing is remembered between batches, so a run that goes on draws what an undisturbed one does.

    Args:
        examples: to draw from.
        settings: of the run; with `pasted`, scale and light of the crops vary too.
        cell: px; the side of a crop is a multiple of it.
        entropy: any numbers.
        sprites: objects to paste.
    """
    rng = np.random.default_rng(entropy)
    cells = min(settings.crop // cell, *(min(e.image.shape[:2]) // cell for e in examples))
    chosen = rng.integers(len(examples), size=settings.batch_size)
    if settings.pasted:
        crops = [_varied(examples, index, cells * cell, settings, sprites, rng) for index in chosen]
    else:
        crops = [_crop(examples[index], cells, cell, rng) for index in chosen]
    images, features, targets, counts = zip(*crops, strict=True)
    return Batch(
        torch.stack(images),
        None if features[0] is None else torch.stack(features),
        torch.stack(targets),
        torch.stack(counts),
    )


def _varied(
    examples: Sequence[Example],
    index: int,
    size: int,
    settings: DistillationSettings,
    sprites: Sequence[Sprite],
    rng: np.random.Generator,
) -> _Crop:
    """A crop of any scale and light, with something pasted onto it or not."""

    def draw(number: int) -> tuple[UInt8[np.ndarray, "s s 3"], Labels]:
        return draw_crop(examples[number].image, examples[number].labels, size, rng)

    image, labels = draw(index)
    if rng.random() < settings.pasted:
        sigma = settings.labels.sigma
        image, labels = paste(
            image, labels, lambda: draw(int(rng.integers(len(examples)))), sprites, sigma, rng,
            settings.twins,
        )  # fmt: skip
    if rng.random() < _LIT:
        image = change_light(image, rng)
    target, counts = (np.ascontiguousarray(part) for part in (labels.target, labels.counts))
    pixels = to_tensor(np.ascontiguousarray(image))
    return pixels, None, torch.from_numpy(target), torch.from_numpy(counts)


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
