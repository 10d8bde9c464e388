"""Small inputs of all kinds that commands read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

BROKEN = "broken.png"  # the photograph that no command can read


def make_inputs(folder: Path) -> None:
    """Photographs, one of them broken, with edges and ground truth of all kinds."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    labels = np.zeros((64, 72), dtype=np.uint8)
    labels[8:40, 8:40] = 1
    edges = np.zeros_like(labels)
    edges[8:40, [8, 24, 39]] = edges[[8, 39], 8:40] = 255
    box = [[8, 8, 8, 40, 40, 40, 40, 8]]
    for number, name in enumerate(("day1/a", "day1/b", "day2/a", "c"), 1):
        picture = rng.integers(0, 256, (64, 72, 3), dtype=np.uint8)
        kinds = {"photos": picture, "edges": edges, "labels": labels}
        kinds |= {"VOC2012/SegmentationObject": labels, "VOC2012/SegmentationClass": labels}
        for kind, values in kinds.items():
            path = folder / kind / f"{name.replace('/', '_') if '/Seg' in kind else name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(values)
            if "/Seg" in kind:
                image = image.convert("P")
            image.save(path)
        images.append({"id": number, "file_name": f"{name}.png", "height": 64, "width": 72})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0,
                            "segmentation": box, "area": 1024, "bbox": [8, 8, 32, 32]})  # fmt: skip
    (folder / "photos/day2" / BROKEN).write_bytes(b"no picture")
    (folder / "photos/day1/a.json").write_text('{"shapes": "of labelme"}', encoding="utf-8")
    content = {"images": images, "annotations": annotations,
               "categories": [{"id": 1, "name": "thing"}]}  # fmt: skip
    (folder / "masks.json").write_text(json.dumps(content), encoding="utf-8")
    sets = folder / "VOC2012/ImageSets/Segmentation"
    sets.mkdir(parents=True)
    names = "".join(f"{one['file_name'][:-4].replace('/', '_')}\n" for one in images)
    for split in ("train", "val", "trainval"):
        (sets / f"{split}.txt").write_text(names, encoding="utf-8")


def make_sam(folder: Path) -> None:
    """A SAM of random weights that looks at squares of 64 px."""
    import torch
    from transformers import SamConfig, SamModel

    torch.manual_seed(0)
    vision = {"hidden_size": 24, "output_channels": 32, "num_hidden_layers": 2, "window_size": 2,
              "num_attention_heads": 3, "image_size": 64, "patch_size": 16, "num_pos_feats": 16,
              "global_attn_indexes": [1]}  # fmt: skip
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
               "iou_head_hidden_dim": 16}  # fmt: skip
    config = SamConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
    SamModel(config).save_pretrained(folder / "sam")
    colours = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.25, 0.5]}
    (folder / "sam/preprocessor_config.json").write_text(json.dumps(colours), encoding="utf-8")
