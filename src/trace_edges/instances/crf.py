"""Outlines that follow the colours of the picture: a fully connected conditional random field.

Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials"
(NeurIPS 2011), with the constants of MaskCut. Needs pydensecrf2.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from trace_edges.extras import require

_STEPS = 10
_NEAR = {"sxy": 3, "compat": 7}  # neighbours agree: reach in px, weight
_ALIKE = {"sxy": 50, "srgb": 5, "compat": 10}  # so do pixels of one colour: and reach in levels


def snap_to_colours(
    mask: Float[np.ndarray, "h w"], picture: UInt8[np.ndarray, "h w 3"]
) -> Bool[np.ndarray, "h w"]:
    """A mask whose outline follows the colours of `picture`.

    Args:
        mask: in [0, 1], how surely a pixel is of the object.

    Raises:
        ValueError: mask and picture have different sizes.
        MissingExtraError: pydensecrf2 is not installed.
    """
    if mask.shape != picture.shape[:2]:
        raise ValueError(f"a mask of {mask.shape} does not lie on a picture of {picture.shape[:2]}")
    library = require("pydensecrf.densecrf", "crf", "pydensecrf2")
    height, width = mask.shape
    # The softmax of (1 - m, m), as energies: a mask is a hint, never certain.
    margin = (2 * mask.astype(np.float32) - 1).ravel()
    energies = np.logaddexp(0, np.stack([margin, -margin]))  # (2, h * w)
    field = library.DenseCRF2D(width, height, 2)
    field.setUnaryEnergy(np.ascontiguousarray(energies, dtype=np.float32))
    field.addPairwiseGaussian(**_NEAR)
    field.addPairwiseBilateral(**_ALIKE, rgbim=np.ascontiguousarray(picture))
    chances = np.array(field.inference(_STEPS)).reshape(2, height, width)
    return chances[1] > chances[0]
