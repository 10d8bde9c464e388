"""Mask R-CNN on masks that `trace-edges refine` wrote, as CutLER and ProMerge+ train theirs.

python scripts/reproduce/train_mask_rcnn.py refined.json PHOTOGRAPHS --out run

One class, "object". Needs torchvision (for torch of the same date). docs/training.md says what a
full run needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from train_loop import finish, options, run_of, train

from trace_edges.files import FileError
from trace_edges.formats.coco import CocoMasks
from trace_edges.formats.entries import refuse_unsound
from trace_edges.images import load_image
from trace_edges.results import InstanceMasks

RATE, MOMENTUM, DECAY, CLIP = 0.02, 0.9, 1e-4, 1.0  # for 16 photographs a step
OBJECT = 1  # torchvision's number of the one class; 0 is the background
Sample = tuple[Tensor, dict[str, Tensor]]


class MaskSamples:
    """Photographs with masks, decoded when they are asked for. Photographs without are left out."""

    def __init__(self, path: Path, photographs: Path) -> None:
        self.photographs, self._masks = photographs, CocoMasks(path)
        refuse_unsound(self._masks.findings)
        if not any(self._masks.files.values()):
            problem = "lists no images, so nobody knows their photographs"
            raise FileError(path, problem, "give the annotations, not a results list")
        self.names = [name for name in self._masks.ids if self._masks.count(name)]
        if not self.names:
            raise FileError(path, "holds no mask", "give what `trace-edges refine` wrote")

    def __len__(self) -> int:
        return len(self.names)

    def masks(self, index: int) -> InstanceMasks:
        """The masks of a photograph, as the file has them."""
        found, findings = self._masks.read(self.names[index])
        refuse_unsound(findings)
        return found

    def read(self, index: int, mirrored: bool = False) -> Sample:
        """(3, h, w) colours in [0, 1], and torchvision's boxes, labels and masks."""
        found = self.masks(index)
        file = self.photographs / str(self._masks.files[self._masks.ids[self.names[index]]])
        image = load_image(file)
        if image.shape[:2] != found.shape:
            raise FileError(
                file, f"is {image.shape[:2]} and its masks {found.shape} (height, width)",
                "give the photographs that the masks are of",
            )  # fmt: skip
        colours = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        masks = torch.from_numpy(found.masks.copy())
        if mirrored:
            colours, masks = colours.flip(-1), masks.flip(-1)
        boxes = InstanceMasks(masks.numpy(), found.scores).boxes  # right and bottom exclusive
        return colours, {
            "boxes": torch.from_numpy(boxes.astype(np.float32)),
            "labels": torch.full((len(found),), OBJECT),
            "masks": masks.to(torch.uint8),
        }


def mask_rcnn(backbone: str, size: int, regions: int, weights: Path | None) -> nn.Module:
    """Torchvision's Mask R-CNN with a feature pyramid, for one class.

    Args:
        backbone: a ResNet of torchvision.
        size: shorter side of the photographs in px.
        regions: candidates that are judged in a photograph, a step.
        weights: of the ResNet, a state dict; its batch norms are then frozen. None: random.
    """
    detection = import_module("torchvision.models.detection")
    utilities = import_module("torchvision.models.detection.backbone_utils")
    frozen = import_module("torchvision.ops").FrozenBatchNorm2d
    pyramid = utilities.resnet_fpn_backbone(
        backbone_name=backbone, weights=None, trainable_layers=5,
        norm_layer=nn.BatchNorm2d if weights is None else frozen,
    )  # fmt: skip
    if weights is not None:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        missing, _ = pyramid.body.load_state_dict(state, strict=False)  # it may have a classifier
        if missing:
            raise FileError(weights, f"lacks {missing[0]}", f"give the state dict of a {backbone}")
    return detection.MaskRCNN(
        pyramid, num_classes=2, min_size=size, max_size=size * 5 // 3,
        box_batch_size_per_image=regions,
    )  # fmt: skip


def collate(samples: Sequence[Sample]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Photographs differ in size: lists, as torchvision takes them."""
    images, targets = zip(*samples, strict=True)
    return list(images), list(targets)


def loss_of(model: nn.Module, batch: tuple[list[Tensor], list[dict[str, Tensor]]]) -> Tensor:
    """The sum of torchvision's five losses."""
    device = next(model.parameters()).device
    images, targets = batch
    losses = model(
        [image.to(device) for image in images],
        [{name: value.to(device) for name, value in target.items()} for target in targets],
    )
    return torch.stack(list(losses.values())).sum()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and train; gives the exit status."""
    parser = options(__doc__.splitlines()[0], steps=160_000, batch=16)
    parser.add_argument("masks", type=Path, help="JSON that `trace-edges refine` wrote")
    parser.add_argument(
        "photographs", type=Path, help="folder of the photographs that the JSON names"
    )
    parser.add_argument("--backbone", default="resnet50", help="name of a ResNet of torchvision")
    parser.add_argument(
        "--weights", type=Path, help="weights of the backbone, a state dict; default: random ones"
    )
    parser.add_argument(
        "--size", type=int, default=800, help="shorter side of the images in pixels"
    )
    parser.add_argument(
        "--regions",
        type=int,
        default=512,
        help="number of regions of a photograph that are judged in a step",
    )
    given = parser.parse_args(arguments)

    def work() -> None:
        run = run_of(given, {
            "masks": str(given.masks), "photographs": str(given.photographs), "size": given.size,
            "backbone": given.backbone, "weights": given.weights and str(given.weights),
            "regions": given.regions,
        })  # fmt: skip
        samples = MaskSamples(given.masks, given.photographs)
        torch.manual_seed(given.seed)
        model = mask_rcnn(given.backbone, given.size, given.regions, given.weights).to(run.device)
        rate = RATE * given.batch / 16
        optimizer = torch.optim.SGD(model.parameters(), rate, MOMENTUM, weight_decay=DECAY)
        train(model, optimizer, samples, collate, loss_of, run, clip=CLIP)

    return finish(work)


if __name__ == "__main__":
    sys.exit(main())
