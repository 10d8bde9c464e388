"""ODS of a student while it trains, on images with ground truth: it stops the run, no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trace_edges.detector.drawing import draw_probabilities
from trace_edges.detector.student import Student
from trace_edges.evaluation.edges import edge_truth
from trace_edges.formats.ground_truth import open_ground_truth
from trace_edges.images import load_image, model_size, resize_image, to_tensor
from trace_edges.metrics.edges import evaluate_edges
from trace_edges.metrics.protocol import EdgeProtocol


class Judge:
    """Scores a student by its edges on images that have ground truth.

    Args:
        images: of which those with ground truth are used.
        truth: as `trace-edges evaluate edges` takes it.
        resolution: sqrt(H * W) in px of what the student sees.
        thresholds: how many.

    Raises:
        ValueError: no image has ground truth.
    """

    def __init__(
        self, images: Sequence[Path], truth: Path, resolution: int, thresholds: int = 25
    ) -> None:
        source = open_ground_truth(truth)
        self._images = {path.stem: path for path in images if path.stem in source}
        if not self._images:
            raise ValueError(f"{truth}: has ground truth for none of the {len(images)} images")
        self._protocol = EdgeProtocol(thresholds=thresholds)
        self._truth = {name: edge_truth(source[name](), self._protocol) for name in self._images}
        self._resolution = resolution

    def describe(self) -> dict[str, Any]:
        """Which images, as JSON holds it."""
        return {"images": sorted(self._images), "protocol": str(self._protocol)}

    @torch.inference_mode()
    def __call__(self, student: Student) -> float:
        """ODS in [0, 1]."""
        training = student.decoder.training
        student.decoder.eval()
        drawn = {
            name: _draw(student, path, self._resolution) for name, path in self._images.items()
        }
        student.decoder.train(training)
        return evaluate_edges(drawn, self._truth, protocol=self._protocol).ods


def _draw(student: Student, path: Path, resolution: int) -> np.ndarray:
    """(H, W) thin edges at the size of the image."""
    picture = load_image(path)
    height, width, _ = picture.shape
    size = model_size(height, width, resolution, student.backbone.cell)
    logits, _ = student(to_tensor(resize_image(picture, size))[None])
    seen = logits[0].float().sigmoid().cpu().numpy()
    edges, ridges = draw_probabilities(seen, (height, width))
    return np.where(ridges, edges, np.float32(0))
