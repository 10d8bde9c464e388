"""Crops that are drawn anew for every batch: of any place, scale and light."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage
from skimage.transform import resize

from trace_edges.distillation.labels import Labels

Pixels = UInt8[np.ndarray, "_ _ 3"]

_SCALE = (0.7, 1.4)  # of a photograph; all magnitudes are equally likely
_GAMMA, _CONTRAST, _SATURATION, _TINT = 0.3, (0.7, 1.3), (0.5, 1.3), (0.85, 1.15)
_RARELY = 0.25  # share of crops that are blurred, and of those that are noisy
_BLUR = (0.3, 1.0)  # px
_NOISE = 0.05  # standard deviation at most, of values in [0, 1]


def draw_crop(
    image: Pixels, labels: Labels, size: int, rng: np.random.Generator
) -> tuple[Pixels, Labels]:
    """A square of `size` px from anywhere, larger or smaller than it is, mirrored half of the time.

    Args:
        image: a photograph.
        labels: of it.
        size: at most its shorter side.
        rng: decides all of it.
    """
    height, width, _ = image.shape
    scale = np.exp(rng.uniform(*np.log(_SCALE)))
    side = min(round(size / scale), height, width)
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    cut = np.s_[top : top + side, left : left + side]
    pixels, target, counts = image[cut], labels.target[cut], labels.counts[cut]
    if side != size:
        shape = (size, size)
        pixels = resize(pixels, (*shape, 3), order=1, preserve_range=True).astype(np.uint8)
        target = resize(target, shape, order=1).astype(np.float32)
        counts = resize(counts, shape, order=0)
    if rng.random() < 0.5:
        pixels, target, counts = pixels[:, ::-1], target[:, ::-1], counts[:, ::-1]
    return pixels, Labels(target, counts)


def change_light(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Another gamma, contrast, saturation and tint; sometimes a little blur or noise."""
    values = (image / np.float32(255)) ** np.float32(np.exp(rng.uniform(-_GAMMA, _GAMMA)))
    mean = values.mean(axis=(0, 1), keepdims=True)
    values = mean + (values - mean) * rng.uniform(*_CONTRAST)
    grey = values.mean(axis=-1, keepdims=True)
    values = (grey + (values - grey) * rng.uniform(*_SATURATION)) * rng.uniform(*_TINT, 3)
    if rng.random() < _RARELY:
        values = ndimage.gaussian_filter(values, (*[rng.uniform(*_BLUR)] * 2, 0))
    if rng.random() < _RARELY:
        values = values + rng.normal(0, rng.uniform(0, _NOISE), values.shape)
    return (values * 255).clip(0, 255).round().astype(np.uint8)
