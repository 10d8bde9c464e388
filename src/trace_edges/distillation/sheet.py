"""The validation sheet: photographs, what the teacher says of them, and what the student sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trace_edges.detector.student import Student
from trace_edges.distillation.examples import Example
from trace_edges.drawing.visualize import grey_image
from trace_edges.files import write_atomically
from trace_edges.images import to_tensor

_ROWS = 4
_HEIGHT = 192  # px of a row


@torch.no_grad()
def draw_sheet(student: Student, examples: Sequence[Example], path: Path) -> None:
    """A PNG with a row for each of the first examples: image, labels, edges in [0, 1]."""
    rows = []
    for example in examples[:_ROWS]:
        features = None if example.features is None else example.features[None].float()
        logits, _ = student(to_tensor(example.image)[None], features)
        edges = logits[0].float().sigmoid().cpu().numpy()
        tiles = [
            Image.fromarray(example.image), grey_image(example.labels.target), grey_image(edges)
        ]  # fmt: skip
        scale = _HEIGHT / example.image.shape[0]
        size = (round(example.image.shape[1] * scale), _HEIGHT)
        rows.append(np.hstack([np.asarray(tile.convert("RGB").resize(size)) for tile in tiles]))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    with write_atomically(path) as temporary:
        Image.fromarray(np.vstack(padded)).save(temporary)
