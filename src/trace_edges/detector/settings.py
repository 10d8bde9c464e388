"""How a detector reads an image, and what its network is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval, Len, MultipleOf

from trace_edges.checks import STRICT, check_fields

BaseType = Literal["float32", "float16", "bfloat16"]  # of the backbone's weights

_Channels = Annotated[int, Interval(ge=8, le=1024), MultipleOf(8)]


@dataclass(frozen=True)
class DetectorSettings:
    """How a detector reads an image.

    Attributes:
        resolution: sqrt(H * W) in px of what the model sees; None: as in training.
        scales: the image is seen once at each of these multiples of the resolution, and the
            probabilities are averaged: chance in one view is not in the others.
        mirror: it is seen mirrored as well, at every scale.

    Raises:
        ValueError: there is no scale, or one is not above 0.
    """

    resolution: int | None = None
    scales: tuple[float, ...] = (1.0,)
    mirror: bool = False

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale <= 16 for scale in self.scales):
            raise ValueError(f"scales must be above 0 and at most 16, not {self.scales}")

    @property
    def is_single(self) -> bool:
        """One view, at the resolution."""
        return self.scales == (1.0,) and not self.mirror


@dataclass(frozen=True)
class StudentSettings:
    """Parts of a student.

    Attributes:
        blocks: whose hidden states the decoder reads, counted from 0 in the order of a pass;
            negative ones from the end, so that -1 is the last one (of a UNet, on its way up).
        widths: a student that reads the image alone, without the denoiser (`PixelStudent`):
            channels of its encoder, which halves the image once for each of them. It has no
            blocks. (): the denoiser is read.
        reduction: the denoiser sees the image so many times smaller than the decoder, which finds
            where exactly a border runs in the image itself. A pass costs far less then.
        attention: radius in cells of the window of SA(X_0), the aggregated self-attention, that
            the decoder reads as well; the paper's reads SA alone. 0: none.
        width: of the decoder on the grid.
        rank: of the LoRA on self-attention; 0: the denoiser stays as it is.
    """

    __pydantic_config__ = STRICT

    blocks: Annotated[tuple[Annotated[int, Interval(ge=-1000, le=1000)], ...], Len(0, 1000)] = (-1,)
    width: Annotated[int, Interval(ge=16, le=4096), MultipleOf(8)] = 64
    rank: Annotated[int, Interval(ge=0, le=4096)] = 0
    attention: Annotated[int, Interval(ge=0, le=32)] = 0
    reduction: Literal[1, 2, 4, 8] = 1
    widths: Annotated[tuple[_Channels, ...], Len(0, 8)] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.widths and (self.blocks or self.rank or self.attention or self.reduction > 1):
            raise ValueError(
                "a student with widths, as of the config pixels, reads the image alone: leave "
                "attention, rank and reduction out and give no blocks ([]), or take another config"
            )

    def describe(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self) | {"blocks": list(self.blocks), "widths": list(self.widths)}
