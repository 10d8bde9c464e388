"""Validation of a student in training: loss and sheet of held-out photographs, and ODS on images
with ground truth, which ends the run where it no longer rises, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trace_edges.checks import check_within
from trace_edges.detector.detector import EdgeDetector
from trace_edges.detector.drawing import draw_probabilities
from trace_edges.detector.pixels import AnyStudent
from trace_edges.distillation.examples import Example, draw_batch
from trace_edges.distillation.losses import batch_loss
from trace_edges.distillation.settings import DistillationSettings
from trace_edges.drawing.visualize import grey_image
from trace_edges.evaluation.edges import edge_truth
from trace_edges.files import write_atomically
from trace_edges.formats.ground_truth import open_ground_truth
from trace_edges.images import load_image, model_size, resize_image, to_tensor
from trace_edges.metrics.edges import evaluate_edges
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.results import Calibration

_BATCHES = 4
_ENTROPY = 1  # keeps the crops of validation apart from those of training, which have 0
_SHEET_ROWS = 4
_SHEET_HEIGHT = 192  # px of a row


@torch.no_grad()
def validation_loss(
    student: AnyStudent,
    examples: Sequence[Example],
    settings: DistillationSettings,
) -> float:
    """Give the loss of the same crops of held-out photographs, whenever it is asked for."""
    settings = replace(settings, pasted=0, twins=0)  # the loss of photographs as they are
    cell = student.cell
    student.decoder.eval()
    losses = []
    for number in range(_BATCHES):
        batch = draw_batch(examples, settings, cell, settings.seed, _ENTROPY, number)
        losses.append(float(batch_loss(student, student, batch, settings)))
    student.decoder.train()
    return sum(losses) / len(losses)


@torch.no_grad()
def draw_sheet(student: AnyStudent, examples: Sequence[Example], path: Path) -> None:
    """Write a PNG with a row for each of the first examples: image, labels, edges in [0, 1]."""
    rows = []
    for example in examples[:_SHEET_ROWS]:
        features = None if example.features is None else example.features[None].float()
        logits, _ = student(to_tensor(example.image)[None], features)
        edges = logits[0].float().sigmoid().cpu().numpy()
        tiles = [
            Image.fromarray(example.image), grey_image(example.labels.target), grey_image(edges)
        ]  # fmt: skip
        scale = _SHEET_HEIGHT / example.image.shape[0]
        size = (round(example.image.shape[1] * scale), _SHEET_HEIGHT)
        rows.append(np.hstack([np.asarray(tile.convert("RGB").resize(size)) for tile in tiles]))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    with write_atomically(path) as temporary:
        Image.fromarray(np.vstack(padded)).save(temporary)


class OdsValidation:
    """Scores a student by its edges on images that have ground truth.

    Args:
        images: of which those with ground truth are used.
        truth: as `trace-edges evaluate edges` takes it.
        resolution: sqrt(H * W) in px of what the student sees.
        thresholds: how many.
        patience: a run ends after so many validations without a higher ODS.

    Raises:
        ValueError: no image has ground truth, or `patience` is less than 1.
    """

    def __init__(
        self,
        images: Sequence[Path],
        truth: Path,
        resolution: int,
        thresholds: int = 25,
        patience: int = 5,
    ) -> None:
        check_within(1, math.inf, patience=patience)
        self.patience = patience
        source = open_ground_truth(truth)
        self._images = {path.stem: path for path in images if path.stem in source}
        if not self._images:
            raise ValueError(f"{truth}: has ground truth for none of the {len(images)} images")
        self._protocol = EdgeProtocol(thresholds=thresholds)
        self._truth = {name: edge_truth(source[name](), self._protocol) for name in self._images}
        self._resolution = resolution

    def describe(self) -> dict[str, Any]:
        """Name the images, as JSON holds them."""
        return {"images": sorted(self._images), "protocol": str(self._protocol)}

    @torch.inference_mode()
    def __call__(self, student: AnyStudent) -> float:
        """ODS in [0, 1]."""
        training = student.decoder.training
        student.decoder.eval()
        edges = {
            name: _thin_edges(student, path, self._resolution)
            for name, path in self._images.items()
        }
        student.decoder.train(training)
        return evaluate_edges(edges, self._truth, protocol=self._protocol).ods

    def calibrate(self, detector: EdgeDetector) -> Calibration | None:
        """What the strengths of a detector are worth as it is used; None where it draws no edge."""
        edges = {name: partial(detector, path) for name, path in self._images.items()}
        found = evaluate_edges(edges, self._truth, protocol=self._protocol).calibration
        made_with = detector.describe(detector.default) | {"weights": detector.fingerprint()}
        return None if found is None else replace(found, made_with=made_with)


def _thin_edges(student: AnyStudent, path: Path, resolution: int) -> np.ndarray:
    """(H, W) at the size of the image."""
    image = load_image(path)
    height, width, _ = image.shape
    size = model_size(height, width, resolution, student.cell)
    logits, _ = student(to_tensor(resize_image(image, size))[None])
    probabilities = logits[0].float().sigmoid().cpu().numpy()
    edges, ridges = draw_probabilities(probabilities, (height, width))
    return np.where(ridges, edges, np.float32(0))
