"""The protocol of an edge score, without which it means nothing. Quick to import, for options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

BoundaryMode = Literal["thin", "right_down", "inner", "thick"]
VoidMode = Literal["edge", "nearest", "ignore"]
Suppression = Literal["none", "ridges", "toolbox"]


@dataclass(frozen=True)
class EdgeProtocol:
    """The choices behind an edge score, to be given beside it; the defaults are those of BSDS.

    Attributes:
        thresholds: how many thresholds; they are i / (thresholds + 1), i = 1 ... thresholds.
        max_distance: the largest distance of a matched pair, as a fraction of the image diagonal.
        thin: whether predictions are thinned to lines of one pixel after the threshold.
        nms: how predictions are made lines before the first threshold: "none", for maps that are
            lines; else for smooth maps (HED, RCF, `detect --soft`) "ridges" (`suppress_non_maxima`)
            or "toolbox", as published results on BSDS have it (`suppress_as_the_toolbox`).
        gt_mode: how the ground truth was made (`boundaries_from_labels`), or "given" when it
            was drawn. A record only: no ground truth is changed here.
        void: what became of pixels without a label (`boundaries_from_labels`). A record as well.
        interpolate: whether the best F is sought between neighbouring thresholds too, along
            straight lines of precision and recall, as in the Structured Edge Detection Toolbox.
        cldice_dilation: by how many pixels both sides are widened before clDice (`cldice`).
    """

    thresholds: int = 99
    max_distance: float = 0.0075
    thin: bool = True
    nms: Suppression = "none"
    gt_mode: BoundaryMode | Literal["given"] = "thin"
    void: VoidMode = "edge"
    interpolate: bool = True
    cldice_dilation: int = 0

    def __post_init__(self) -> None:
        if self.thresholds < 1:
            raise ValueError(f"thresholds must be 1 or more, not {self.thresholds}")
        if not 0 <= self.max_distance <= 1:
            raise ValueError(
                f"max_distance is a share of the diagonal, 0 to 1, not {self.max_distance}"
            )
        if self.gt_mode not in (modes := (*get_args(BoundaryMode), "given")):
            raise ValueError(f"unknown gt_mode {self.gt_mode!r}: choose from {', '.join(modes)}")
        if self.void not in (modes := get_args(VoidMode)):
            raise ValueError(f"unknown void {self.void!r}: choose from {', '.join(modes)}")
        if self.nms not in (modes := get_args(Suppression)):
            raise ValueError(f"unknown nms {self.nms!r}: choose from {', '.join(modes)}")
        if self.cldice_dilation < 0:
            raise ValueError(f"cldice_dilation is in pixels, 0 or more, not {self.cldice_dilation}")

    @property
    def levels(self) -> Any:
        """The thresholds as an array (n,), rising, all above 0 and below 1."""
        import numpy as np

        return np.arange(1, self.thresholds + 1) / (self.thresholds + 1)

    def __str__(self) -> str:
        """One line to print under a table."""
        kind = {"none": "", "ridges": "non-maximum suppression, "}
        kind["toolbox"] = "the toolbox's non-maximum suppression, "
        prediction = f"{kind[self.nms]}{self.thresholds} thresholds"
        return (
            f"one-to-one matching within {self.max_distance:g} of the diagonal; prediction: "
            f"{prediction}, {'thinned' if self.thin else 'not thinned'}; ground truth: "
            f"{self.gt_mode}, void: {self.void}; ODS {'' if self.interpolate else 'not '}"
            f"interpolated; clDice at the ODS threshold, {self.cldice_dilation} px dilation"
        )


BSDS = EdgeProtocol()
