"""Curves of a run: a JSON line for every step, and an image of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trace_edges.extras import require
from trace_edges.files import write_atomically

LINES, PICTURE = "curves.jsonl", "curves.png"


def read_curves(folder: Path) -> list[dict[str, float]]:
    """Read the lines of a run; there are none before it is begun."""
    path = folder / LINES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


class Curves:
    """Measurements of every step; those ahead of the checkpoint are forgotten, to come again.

    Args:
        folder: of the run.
        start: steps that the checkpoint has behind it.
        mine: True where this process writes.
        scores: names of what is drawn on an axis of its own.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """

    def __init__(self, folder: Path, start: int, mine: bool, scores: Sequence[str] = ()) -> None:
        self._figure = require("matplotlib.figure", "distill").Figure
        self._folder, self._mine, self._scores = folder, mine, scores
        self._lines = read_curves(folder)[:start]

    def add(self, line: Mapping[str, float]) -> None:
        """Take the line of the next step."""
        self._lines.append(dict(line))

    def of(self, what: str) -> list[tuple[int, float]]:
        """Give steps and values, where it was measured."""
        return [(int(line["step"]), line[what]) for line in self._lines if what in line]

    def since_best(self, score: str) -> int:
        """Count the validations after the one with the highest score; 0 where there was none."""
        scored = [value for _, value in self.of(score)]
        return len(scored) - 1 - scored.index(max(scored)) if scored else 0

    def write(self) -> None:
        """Write lines and image."""
        if not self._mine:
            return
        with write_atomically(self._folder / LINES) as temporary:
            temporary.write_text(
                "".join(f"{json.dumps(line)}\n" for line in self._lines), encoding="utf-8"
            )
        with write_atomically(self._folder / PICTURE) as temporary:
            self._draw().savefig(temporary, format="png", dpi=100)

    def _draw(self) -> Any:
        figure = self._figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot(xlabel="step", ylabel="loss")
        for what, style in (("loss", {"linewidth": 0.6}), ("validation_loss", {"marker": "o"})):
            if points := self.of(what):
                axes.plot(*zip(*points, strict=True), label=what.replace("_", " "), **style)
        axes.legend(loc="upper right", fontsize="small")
        right = axes.twinx() if any(map(self.of, self._scores)) else None
        for what in self._scores:
            if right is not None and (points := self.of(what)):
                label = what.replace("_", " ")
                right.plot(*zip(*points, strict=True), linestyle="--", marker="x", label=label)
                right.legend(loc="lower right", fontsize="small")
        return figure
