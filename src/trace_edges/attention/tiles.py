"""Which tiles the head-mean kernels take, so that they fit the card.

A program holds the queries and keys of a tile in shared memory, once for each stage of its pipeline
of loads. How much of it there is differs: 64 KiB on a T4, 99 on RTX 30 and 40, A10 and L4, 163 on
an A100, 227 on an H100. Tests compile every kernel for every one of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch

# a * b + c in one rounding; what Triton does where nothing is said is about to change.
FUSION = {"enable_fp_fusion": True}

_SLACK = 8 << 10  # bytes for sums of rows and changes of layout


@dataclass(frozen=True)
class Card:
    """What of a card decides the tiles.

    Attributes:
        capability: compute capability times ten, 80 for an A100; 0: not one of NVIDIA's.
        shared: bytes of shared memory that a program can have.
    """

    capability: int
    shared: int


@dataclass(frozen=True)
class Tiles:
    """One choice.

    Attributes:
        queries, keys: sides of a tile of the map.
        channels: of the head dimension that are multiplied at a time.
        unrolled: all channels of a tile are loaded ahead; otherwise a loop goes over them, and the
            memory does not grow with the head dimension.
        precision: how float32 is multiplied: "ieee", or "tf32x3", three products of tensor cores
            whose sum is as good as float32.
        warps, stages: as Triton means them.
    """

    queries: int
    keys: int
    channels: int
    unrolled: bool
    precision: str
    warps: int
    stages: int

    def options(self) -> dict[str, Any]:
        """Arguments of a launch: constants of the kernel, and options of Triton."""
        names = asdict(self)
        triton = {"num_warps": names.pop("warps"), "num_stages": names.pop("stages")}
        return {name.upper(): value for name, value in names.items()} | triton | FUSION


def multiplied_as(dtype: torch.dtype, card: Card) -> torch.dtype:
    """The number type that queries and keys of this one are multiplied in.

    NVIDIA's cards before Ampere multiply in float32: Triton uses no tensor cores there, and its
    versions before 3.4 compile no half precision for them.
    """
    return torch.float32 if 0 < card.capability < 80 else dtype


def tiles_for(d: int, itemsize: int, card: Card) -> Tiles:
    """The tiles for a head dimension `d` and numbers of `itemsize` bytes."""
    if card.capability < 80:  # Triton multiplies without tensor cores there, from registers
        return Tiles(64, 64, 16, False, "ieee", 8, 1)
    if itemsize > 2:  # more channels at a time would not fit the registers
        return Tiles(64, 64, 16, False, "tf32x3", 4, 3)
    channels = min((64, 32, 16), key=lambda size: -(-d // size) * size)  # the least of padding
    width = -(-d // channels) * channels
    # Hopper's and datacentre Blackwell's products read shared memory while the next loads arrive.
    reading = 1 if 90 <= card.capability < 120 else 0
    for queries, keys, warps, stages in ((128, 128, 8, 3), (128, 128, 8, 2), (128, 64, 8, 2)):
        if (stages - 1 + reading) * (queries + keys) * width * itemsize + _SLACK <= card.shared:
            return Tiles(queries, keys, channels, True, "ieee", warps, stages)
    return Tiles(128, 64, channels, False, "ieee", 8, 2)


@lru_cache
def card_of(device: torch.device) -> Card:
    """The card of a device; of a CPU, where Triton's interpreter runs, an A100."""
    if device.type != "cuda":
        return Card(80, 163 << 10)
    from triton.runtime import driver

    index = torch.cuda.current_device() if device.index is None else device.index
    shared = driver.active.utils.get_device_properties(index)["max_shared_mem"]
    if torch.version.hip:
        return Card(0, shared)
    major, minor = torch.cuda.get_device_capability(index)
    return Card(10 * major + minor, shared)
