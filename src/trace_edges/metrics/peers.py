"""Classical edge detectors to stand beside a learnt one in a table: Canny and Sobel.

Both see the grey image and return strengths on a scale that is the same for every image, since
ODS asks for one threshold over a whole set.
"""

import numpy as np
from jaxtyping import Float32, Num
from skimage.color import rgb2gray
from skimage.feature import canny
from skimage.filters import sobel
from skimage.util import img_as_float

SIGMA = 2**0.5
# Gradient magnitudes as scikit-image takes them (Sobel weights that sum to 8, after smoothing).
# A full step from black to white measures 2.2, and 0.02 is a step of two grey levels of 255.
# Magnitudes are heavy-tailed, so the levels are spread geometrically.
LEVELS = np.geomspace(0.02, 2.0, 25)


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


def _grey(image: Num[np.ndarray, "h w *channels"]) -> Num[np.ndarray, "h w"]:
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(f"an image must be grey (h, w) or RGB (h, w, 3), not {image.shape}")
    unit = img_as_float(image)
    if unit.size and not (unit.min() >= 0 and unit.max() <= 1):
        raise ValueError("a float image must stay in [0, 1]: divide it by its largest value")
    return unit if unit.ndim == 2 else rgb2gray(unit)
