"""clDice: how far prediction and ground truth contain each other's centre lines.

Shit et al., "clDice, a novel topology-preserving loss function", CVPR 2021.
"""

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import binary_dilation
from skimage.morphology import skeletonize


def cldice(
    prediction: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"], dilation: int = 0
) -> float:
    """Harmonic mean of topology precision and sensitivity, in [0, 1].

    Precision is the share of the prediction's skeleton inside the truth, sensitivity the share of
    the truth's skeleton inside the prediction. There is no tolerance: a line of one pixel, moved
    by one, scores about 0.3. Widening both sides by some pixels gives it one.

    Args:
        prediction: (h, w) edge pixels.
        truth: (h, w) true edge pixels.
        dilation: px by which both are widened, as squares of side 2 * dilation + 1.

    Returns:
        1 where both are empty, 0 where only one is.
    """
    if not prediction.any() or not truth.any():
        return float(prediction.any() == truth.any())
    if dilation:
        square = np.ones((2 * dilation + 1,) * 2, dtype=bool)
        prediction, truth = binary_dilation(prediction, square), binary_dilation(truth, square)
    precision = truth[skeletonize(prediction)].mean()
    sensitivity = prediction[skeletonize(truth)].mean()
    total = precision + sensitivity
    return float(2 * precision * sensitivity / total) if total else 0.0
