"""Mask2Former on panoptic maps that `trace-edges panoptic` wrote, as DHR + TRACE trains its own.

python scripts/reproduce/train_mask2former.py panoptic.json PHOTOGRAPHS --out run --model MODEL

MODEL is a folder or hub id of transformers, or "tiny": a small one with random weights, to see that
everything is in place. docs/training.md says what a full run needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image
from torch import Tensor, nn
from train_loop import finish, options, run_of, train
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from trace_edges.files import FileError
from trace_edges.formats.coco_truth import load_json, png_folder
from trace_edges.formats.pixels import read_panoptic_ids
from trace_edges.images import load_image

RATE, DECAY, CLIP = 1e-4, 0.05, 0.01
BACKBONE_SHARE = 0.1  # of the rate, as it is trained already
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
ENCODER = "model.pixel_level_module.encoder"
TINY = "tiny"
Sample = tuple[Tensor, Tensor, Tensor]  # colours, masks, classes


class PanopticSamples:
    """Photographs with their segments; classes are places in the list of categories."""

    def __init__(self, path: Path, photographs: Path, size: int) -> None:
        content = load_json(path)
        self.photographs, self.size, self.folder = photographs, size, png_folder(path)
        self.names = [category["name"] for category in content["categories"]]
        self._places = {one["id"]: place for place, one in enumerate(content["categories"])}
        files = {image["id"]: image["file_name"] for image in content["images"]}
        self.entries = [
            (files[entry["image_id"]], entry)
            for entry in content["annotations"]
            if entry["segments_info"]
        ]
        if not self.entries:
            raise FileError(path, "holds no segment", "give what `trace-edges panoptic` wrote")

    def __len__(self) -> int:
        return len(self.entries)

    def segments(self, index: int) -> tuple[Bool[np.ndarray, "n h w"], list[int]]:
        """Masks of a photograph as its PNG has them, and their classes; crowds are left out."""
        _, entry = self.entries[index]
        file = self.folder / entry["file_name"]
        ids = read_panoptic_ids(file)
        listed = [one for one in entry["segments_info"] if not one.get("iscrowd", 0)]
        masks = np.array([ids == one["id"] for one in listed]).reshape(-1, *ids.shape)  # (n, h, w)
        if not masks.any(axis=(1, 2)).all():
            raise FileError(file, "lacks a segment that the JSON lists", "write both anew")
        return masks, [self._places[one["category_id"]] for one in listed]

    def read(self, index: int, mirrored: bool = False) -> Sample:
        """(3, h, w) colours, (n, h, w) masks and (n,) classes; the longer side is `size`."""
        masks, classes = self.segments(index)
        file = self.photographs / self.entries[index][0]
        image = load_image(file)
        if image.shape[:2] != masks.shape[1:]:
            raise FileError(
                file, f"is {image.shape[:2]} and its segments {masks.shape[1:]} (height, width)",
                "give the photographs that the maps are of",
            )  # fmt: skip
        height, width = (max(1, round(n * self.size / max(image.shape))) for n in masks.shape[1:])
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        colours = (np.asarray(resized) / 255 - MEAN) / STD
        drawn = [
            np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
            for mask in masks
        ]
        step = -1 if mirrored else 1
        return (
            torch.from_numpy(colours[:, ::step].astype(np.float32)).permute(2, 0, 1),
            torch.from_numpy(np.array(drawn)[..., ::step].astype(np.float32)),
            torch.tensor(classes),
        )


def mask2former(name: str, names: Sequence[str]) -> nn.Module:
    """The model of a folder or hub id with a new classifier for these classes, or a tiny one."""
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: k for k, n in enumerate(names)}}
    if name == TINY:
        swin = SwinConfig(
            image_size=64, embed_dim=12, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )  # fmt: skip
        config = Mask2FormerConfig(
            backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32,
            encoder_feedforward_dim=64, encoder_layers=1, decoder_layers=3, dim_feedforward=64,
            num_attention_heads=4, num_queries=20, train_num_points=256, **labels,
        )  # fmt: skip
        return Mask2FormerForUniversalSegmentation(config)
    return Mask2FormerForUniversalSegmentation.from_pretrained(
        name, ignore_mismatched_sizes=True, **labels
    )


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """A batch at the size of its largest photographs; what is added is marked and no segment."""
    height, width = (max(sample[0].shape[axis] for sample in samples) for axis in (1, 2))

    def padded(values: Tensor) -> Tensor:
        padding = (0, width - values.shape[-1], 0, height - values.shape[-2])
        return nn.functional.pad(values, padding)

    return {
        "pixel_values": torch.stack([padded(colours) for colours, _, _ in samples]),
        "pixel_mask": torch.stack([padded(torch.ones_like(c[0])) for c, _, _ in samples]).long(),
        "mask_labels": [padded(masks) for _, masks, _ in samples],
        "class_labels": [classes for _, _, classes in samples],
    }


def loss_of(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """The sum of the losses of classes, masks and their Dice, at every layer."""
    device = next(model.parameters()).device
    placed = {
        name: values.to(device) if isinstance(values, Tensor) else [v.to(device) for v in values]
        for name, values in batch.items()
    }
    return model(**placed).loss.reshape(())


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and train; gives the exit status."""
    parser = options(__doc__.splitlines()[0], steps=90_000, batch=16)
    parser.add_argument("panoptic", type=Path, help="JSON that `trace-edges panoptic` wrote")
    parser.add_argument(
        "photographs", type=Path, help="folder of the photographs that the JSON names"
    )
    parser.add_argument("--model", default=TINY, help="folder, hub id, or tiny (random weights)")
    parser.add_argument(
        "--size", type=int, default=1024, help="longer side of the images in pixels"
    )
    given = parser.parse_args(arguments)

    def work() -> None:
        run = run_of(given, {
            "panoptic": str(given.panoptic), "photographs": str(given.photographs),
            "model": given.model, "size": given.size,
        })  # fmt: skip
        samples = PanopticSamples(given.panoptic, given.photographs, given.size)
        torch.manual_seed(given.seed)
        model = mask2former(given.model, samples.names).to(run.device)
        share = 1 if given.model == TINY else BACKBONE_SHARE
        encoder = dict(model.model.pixel_level_module.encoder.named_parameters(prefix=ENCODER))
        rest = [weight for name, weight in model.named_parameters() if name not in encoder]
        groups = [{"params": list(encoder.values()), "lr": RATE * share}, {"params": rest}]
        optimizer = torch.optim.AdamW(groups, RATE, weight_decay=DECAY)
        train(model, optimizer, samples, collate, loss_of, run, clip=CLIP)
        model.save_pretrained(run.out / "model")

    return finish(work)


if __name__ == "__main__":
    sys.exit(main())
