"""Bounds of every number that a command takes, checked before any work begins.

They keep a slip of the keyboard from taking the memory or the day; what a model or an image allows
within them is said by what reads it. An option has the bounds of its name in every command.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SIDE = (1, 16384)  # px
_SHARE = (0, 1)
_PROCESSES = (0, 1024)

BOUNDS: Mapping[str, tuple[float, float]] = {
    "resolution": _SIDE,
    "emergence_resolution": _SIDE,
    "height": _SIDE,
    "width": _SIDE,
    "subcell": (1, 64),
    "timestep": (0, 100_000),
    "stride": (1, 100_000),
    "seed": (0, 2**63 - 1),
    "shift": (0, 1000),
    "strength": _SHARE,
    "count": (1, 65535),
    "top_k": (1, 65535),
    "min_score": _SHARE,
    "max_area": _SHARE,
    "min_area": _SHARE,
    "blur": (0, 1000),
    "threshold": _SHARE,
    "dividing": _SHARE,
    "hysteresis": _SHARE,
    "close_gap": (0, 1000),
    "closed": _SHARE,
    "min_fragment": (0, 1_000_000),
    "min_radius": (0, 1000),
    "part_size": _SHARE,
    "part_distance": (0, 1000),
    "part_behind": _SHARE,
    "iou": _SHARE,
    "min_iou": _SHARE,
    "seconds_per_click": (0, 3600),
    "hourly_price": (0, 1_000_000),
    "background": _SHARE,
    "points": (1, 10_000),
    "thresholds": (1, 10_000),
    "max_distance": _SHARE,
    "cldice_dilation": (0, 1000),
    "guidance": (0, 1000),
    "steps": (1, 100_000_000),
    "pasted": _SHARE,
    "rank": (0, 4096),
    "reconstruction_weight": (0, 1_000_000),
    "hold_out": (2, 1_000_000),
    "accumulate": (1, 100_000),
    "patience": (1, 1_000_000),
    "batch": (1, 65536),
    "batch_size": (1, 65536),
    "workers": _PROCESSES,
    "part": (1, 10_000_000),
    "actors": (1, 1024),
    "measure": (1, 100_000),
    "gpus": (0, 1024),
    "port": (1, 65535),
}


def check_bounds(values: Mapping[str, Any]) -> None:
    """Refuse numbers that leave their bounds, NaN among them.

    Raises:
        ValueError: one line that names the option and its bounds.
    """
    for name, value in values.items():
        if name not in BOUNDS or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, high = BOUNDS[name]
        if not low <= value <= high:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} must lie in [{low}, {high}], not {value}")
