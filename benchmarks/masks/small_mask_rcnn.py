"""A Mask R-CNN of torchvision so small that one core trains it in some minutes, for `week.py`.

    python -m benchmarks.masks.small_mask_rcnn MASKS IMAGES HELD_OUT --out found.json

A ResNet-18 with GroupNorm from random weights, a feature pyramid of 64 channels, one class. It says
what labels are worth against other labels, not how well photographs can be divided. What it finds
in the images of the folder HELD_OUT is written as COCO's results.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._shared.reports import guarded
from trace_edges.formats.coco import export_coco_results
from trace_edges.formats.labelled import photographs_in
from trace_edges.images import load_image
from trace_edges.results import InstanceMasks

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "reproduce"))
from train_mask_rcnn import MaskSamples, collate, loss_of

RATE, DECAY, WARM_UP, BATCH = 5e-4, 1e-4, 50, 4
CHANNELS = 64
ANCHORS = ((10,), (20,), (40,), (80,), (128,))  # px, of the levels of the pyramid


def main() -> None:
    """Train, and write what the network finds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("masks", type=Path, help="annotations in COCO's form")
    parser.add_argument("images", type=Path, help="folder of the images that they name")
    parser.add_argument("held_out", type=Path, help="folder of other images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=128, help="shorter side of the images, px")
    parser.add_argument("--steps", type=int, default=100, help="of four images each")
    options = parser.parse_args()
    model = trained(options.masks, options.images, size=options.size, steps=options.steps)
    predict(model, options.held_out, options.out)


def small_mask_rcnn(size: int) -> nn.Module:
    """The network, for images whose shorter side is brought to `size` px."""
    models = import_module("torchvision.models")
    detection, ops = models.detection, import_module("torchvision.ops")
    resnet = models.resnet18(weights=None, norm_layer=partial(nn.GroupNorm, 32))
    levels = {f"layer{n}": str(n - 1) for n in range(1, 5)}
    pyramid = detection.backbone_utils.BackboneWithFPN(
        resnet, levels, [64, 128, 256, 512], CHANNELS
    )
    faster, masked = detection.faster_rcnn, detection.mask_rcnn
    return detection.MaskRCNN(
        pyramid,
        min_size=size,
        max_size=size * 5 // 3,
        rpn_anchor_generator=detection.anchor_utils.AnchorGenerator(ANCHORS, ((0.5, 1, 2),) * 5),
        rpn_pre_nms_top_n_train=300,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_train=100,
        rpn_post_nms_top_n_test=100,
        box_roi_pool=ops.MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
        box_head=faster.TwoMLPHead(CHANNELS * 49, 256),
        box_predictor=faster.FastRCNNPredictor(256, 2),
        box_batch_size_per_image=64,
        mask_roi_pool=ops.MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2),
        mask_head=masked.MaskRCNNHeads(CHANNELS, (CHANNELS,) * 2, 1),
        mask_predictor=masked.MaskRCNNPredictor(CHANNELS, CHANNELS, 2),
    )  # fmt: skip


def trained(masks: Path, images: Path, *, size: int, steps: int, seed: int = 0) -> nn.Module:
    """The network after `steps` of four images each, from the same start for the same seed."""
    samples = MaskSamples(masks, images)
    torch.manual_seed(seed)
    chance = random.Random(seed)
    model = small_mask_rcnn(size)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2,
    )
    order: list[int] = []
    for _ in range(steps):
        while len(order) < BATCH:
            order += chance.sample(range(len(samples)), len(samples))
        chosen, order = order[:BATCH], order[BATCH:]
        batch = collate([samples.read(index, chance.random() < 0.5) for index in chosen])
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        rate.step()
    return model.eval()


def predict(model: nn.Module, images: Path, out: Path) -> None:
    """What a trained network finds in the images of a folder, as COCO's results; their ids are
    those that composites have.
    """
    found: dict[str, Any] = {}
    ids: dict[str, int] = {}
    for number, path in enumerate(sorted(photographs_in(images).values()), 1):
        pixels = torch.from_numpy(load_image(path)).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            (given,) = model([pixels])
        masks = given["masks"][:, 0].numpy() > 0.5
        seen = masks.any(axis=(1, 2))
        scores = np.clip(given["scores"].numpy()[seen], 0, 1)
        found[path.stem], ids[path.stem] = InstanceMasks(masks[seen], scores), number
    export_coco_results(found, out, image_ids=ids)


if __name__ == "__main__":
    guarded(main)
