"""Classical edge detectors to stand beside a learnt one in a table: Canny, Sobel, Felzenszwalb.

Their maps go into folders, like those of any other method. All of them are strengths on a scale
that is the same for every image, since ODS asks for one threshold over a whole set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Num
from skimage.color import rgb2gray
from skimage.feature import canny
from skimage.filters import sobel
from skimage.segmentation import felzenszwalb
from skimage.util import img_as_float

from trace_edges.formats.edge_maps import write_edge_map
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import spread

Task = tuple[str, Path, Path]  # peer, image, edge map to write

SIGMA = 2**0.5
# Gradient magnitudes as scikit-image takes them (Sobel weights that sum to 8, after smoothing).
# A full step from black to white measures 2.2, and 0.02 is a step of two grey levels of 255.
# Magnitudes are heavy-tailed, so the levels are spread geometrically.
LEVELS = np.geomspace(0.02, 2.0, 25)
# Observation levels of Felzenszwalb and Huttenlocher, for colours in [0, 1]: the larger, the fewer
# and larger the segments.
SCALES = np.geomspace(30, 3000, 11)


def canny_edges(image: Num[np.ndarray, "h w *channels"]) -> Float32[np.ndarray, "h w"]:
    """Canny edges graded by the strongest hysteresis threshold they survive.

    Canny's own result is binary, which gives a benchmark one point and not a curve. Here the
    high threshold runs through 25 fixed levels from 0.02 to 2 (low = 0.4 high, sigma sqrt 2),
    and a pixel that is still an edge at the k-th level, weakest first, gets k / 25.

    Args:
        image: (h, w) grey or (h, w, 3) RGB; uint8, uint16 or float in [0, 1].

    Returns:
        (h, w) strength in [0, 1]: 0 or a multiple of 1 / 25, in lines of one pixel.

    Raises:
        ValueError: the image is neither grey nor RGB, or is float outside [0, 1].
    """
    grey = _grey(image)
    strength = np.zeros(grey.shape, dtype=np.float32)
    for k, high in enumerate(LEVELS, start=1):
        edges = canny(grey, sigma=SIGMA, low_threshold=0.4 * high, high_threshold=high)
        strength[edges] = k / len(LEVELS)
    return strength


def sobel_edges(image: Num[np.ndarray, "h w *channels"]) -> Float32[np.ndarray, "h w"]:
    """Sobel gradient magnitude in [0, 1], thick: the benchmark's thinning makes lines of it.

    Arguments and errors are those of `canny_edges`.
    """
    return sobel(_grey(image)).astype(np.float32)


def felzenszwalb_edges(image: Num[np.ndarray, "h w *channels"]) -> Float32[np.ndarray, "h w"]:
    """Borders of Felzenszwalb's segments, graded by the share of scales at which they are there.

    Eleven scales from 30 to 3000 (sigma 0.8, segments of 50 pixels or more); the border of a
    scale is made as the ground truth is (`boundaries_from_labels`). Colours are used. Arguments
    and errors are those of `canny_edges`.
    """
    _grey(image)  # refuses what is no image
    unit = img_as_float(image)
    strength = np.zeros(image.shape[:2], dtype=np.float32)
    axis = -1 if image.ndim == 3 else None
    for scale in SCALES:
        labels = felzenszwalb(unit, scale=scale, sigma=0.8, min_size=50, channel_axis=axis)
        strength += boundaries_from_labels(labels)
    return strength / np.float32(len(SCALES))


PEERS = {"canny": canny_edges, "sobel": sobel_edges, "felzenszwalb": felzenszwalb_edges}


def draw_peer(
    peer: str,
    images: Mapping[str, Path],
    folder: Path,
    workers: int = 1,
    progress: Callable[[], object] | None = None,
) -> dict[str, str]:
    """Write the edge maps of a classical detector as 8-bit PNGs NAME.png into `folder`.

    Maps that are newer than their image are kept.

    Returns:
        The images that cannot be read, by name, with what is wrong with them.

    Raises:
        ValueError: there is no such peer.
    """
    if peer not in PEERS:
        raise ValueError(f"there is no peer {peer!r}: choose from {', '.join(PEERS)}")
    problems = {}
    tasks = [(peer, image, folder / f"{name}.png") for name, image in images.items()]
    for name, problem in zip(images, spread(_draw, tasks, workers), strict=True):
        if problem:
            problems[name] = problem
        if progress is not None:
            progress()
    return problems


def _draw(task: Task) -> str:
    from trace_edges.images import ImageError, load_image  # brings torch, which takes seconds

    peer, image, target = task
    if target.exists() and target.stat().st_mtime > image.stat().st_mtime:
        return ""
    try:
        edges = PEERS[peer](load_image(image))
    except ImageError as error:
        return str(error)
    write_edge_map(edges, target, "png")
    return ""


def _grey(image: Num[np.ndarray, "h w *channels"]) -> Num[np.ndarray, "h w"]:
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(f"an image must be grey (h, w) or RGB (h, w, 3), not {image.shape}")
    unit = img_as_float(image)
    if unit.size and not (unit.min() >= 0 and unit.max() <= 1):
        raise ValueError("a float image must lie in [0, 1]: divide it by its largest value")
    return unit if unit.ndim == 2 else rgb2gray(unit)
