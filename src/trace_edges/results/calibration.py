"""What the strength of an edge is worth: which share of the lines of this strength is true."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, Len
from jaxtyping import Float, Float32

from trace_edges.checks import STRICT, Share, check_fields, read_fields
from trace_edges.files import FileError, read_json, write_json

_UNSAID = {"calibration": None, "lines": "thin"}  # what goes without saying in settings
# Of each image its own, or without a noticeable effect on strengths.
_PASSED_OVER = ("half_edge", "model_size", "grid", "dtype")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A curve from the strength of lines to their precision, the share that matches a true border.

    It is straight between its points, and starts at 0. `EdgeScores` has one, and `trace-edges
    evaluate edges` writes one for each method.

    Attributes:
        strengths: of the points, in (0, 1], rising.
        precision: at these points, in [0, 1], never falling.
        made_with: the settings of the edges that it was measured on; empty where nobody knows.

    Raises:
        ValueError: there is no point, or the numbers are not as above.
    """

    __pydantic_config__ = STRICT

    strengths: Annotated[tuple[Annotated[float, Interval(gt=0, le=1)], ...], Len(1, 10_000)]
    precision: Annotated[tuple[Share, ...], Len(1, 10_000)]
    made_with: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.strengths) != len(self.precision):
            raise ValueError("strengths and precision must have the same length")
        if (np.diff(self.strengths) <= 0).any() or (np.diff(self.precision) < 0).any():
            raise ValueError("strengths must rise, and precision must not fall")

    def __call__(self, edges: Float[np.ndarray, "*size"]) -> Float32[np.ndarray, "*size"]:
        """The precision of every strength; 0 stays 0."""
        worth = np.interp(edges, (0.0, *self.strengths), (0.0, *self.precision))
        return worth.astype(np.float32)

    @property
    def digest(self) -> str:
        """Equal for equal curves."""
        content = json.dumps([self.strengths, self.precision])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()

    def check(self, made_with: Mapping[str, Any]) -> None:
        """Refuse edges that are made with other settings than those that it was measured on.

        Raises:
            ValueError: one setting differs; the line names it.
        """
        own, other = ({**_UNSAID, **given} for given in (self.made_with, made_with))
        for name in own:
            if name in _PASSED_OVER or name not in other:
                continue
            if _plain(own[name]) != _plain(other[name]):
                raise ValueError(
                    f"the calibration was measured on edges with {name} {own[name]}, and these "
                    f"have {other[name]}: evaluate edges with the settings of these"
                )

    def save(self, path: str | Path) -> None:
        """Write it as JSON; errors as in `trace_edges.files.write_json`."""
        write_json(asdict(self), path, indent=1)

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            OSError: there is no such file.
            FileError: a `ValueError` of one line: it holds no calibration.
        """
        content = read_json(path)
        try:
            return read_fields(cls, content)
        except ValueError as error:
            raise FileError(path, f"holds no calibration ({error})", "give what evaluate edges "
                            "writes to calibration/NAME.json") from error  # fmt: skip


def _plain(value: object) -> object:
    """As JSON has it, where tuples are lists."""
    return list(value) if isinstance(value, tuple) else value
