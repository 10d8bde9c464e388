"""A random SAM and SAM 2 small enough to run in a test."""

import json
from pathlib import Path

import pytest
import torch
import transformers

_SAM_SIDE = 64  # of the square that the tiny models look at; their masks are 16 x 16
_SAM = {
    "prompt_encoder_config": {"hidden_size": 32, "image_size": _SAM_SIDE, "patch_size": 16},
    "mask_decoder_config": {"hidden_size": 32, "mlp_dim": 32, "num_hidden_layers": 2,
                            "num_attention_heads": 2, "iou_head_hidden_dim": 16},
}  # fmt: skip
_SAM_VISION = {
    "hidden_size": 24, "output_channels": 32, "num_hidden_layers": 2, "window_size": 2,
    "num_attention_heads": 3, "image_size": _SAM_SIDE, "patch_size": 16, "num_pos_feats": 16,
    "global_attn_indexes": [1],
}  # fmt: skip
_SAM2_VISION = {
    "backbone_config": {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8,
        "image_size": [_SAM_SIDE, _SAM_SIDE], "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1] * 4,
        "window_size_per_stage": [4, 4, 2, 2], "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    },
    "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
}  # fmt: skip


def write_sam(kind: str, folder: Path) -> Path:
    """Write the folder of a random "sam" or "sam2", and give it.

    Its weights are lively enough to answer every prompt differently.
    """
    vision = {"sam": _SAM_VISION, "sam2": _SAM2_VISION}[kind]
    names = {"sam": "Sam", "sam2": "Sam2"}[kind]
    config = getattr(transformers, f"{names}Config")(vision_config=vision, **_SAM)
    torch.manual_seed(0)
    model = getattr(transformers, f"{names}Model")(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                gain = 0.1 if "iou_prediction_head.proj_out" in name else 2  # scores in [0, 1]
                weight.copy_(torch.randn(weight.shape, generator=generator))
                weight.mul_(gain / weight[0].numel() ** 0.5)
            else:
                weight.fill_(0.4 if "iou_prediction_head.proj_out" in name else "norm" in name)
    model.save_pretrained(folder)
    colours = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.25, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_sam():
    """`write_sam`."""
    return write_sam
