"""A tiny random encoder of every class, and what its attention is compared with."""

import numpy as np
import torch
import transformers

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32,
         "patch_size": 8, "intermediate_size": 48}  # fmt: skip
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 40,
        "intermediate_size": 32}  # fmt: skip


def _model(name, config, **options):
    return lambda: getattr(transformers, name)(getattr(transformers, config)(**options))


def _llava():
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**SMALL),
        text_config=transformers.LlamaConfig(**TEXT, num_key_value_heads=2),
    )
    return transformers.LlavaForConditionalGeneration(config)


def _qwen():
    vision = {"depth": 3, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32,
              "patch_size": 4, "window_size": 24, "fullatt_block_indexes": [0, 2],
              "out_hidden_size": 16}  # fmt: skip
    rope = {"type": "default", "mrope_section": [1, 1, 2]}
    text = TEXT | {"num_key_value_heads": 2, "rope_scaling": rope}
    config = transformers.Qwen2_5_VLConfig(vision_config=vision, text_config=text)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


KINDS = {
    "vit": _model("ViTModel", "ViTConfig", **SMALL),
    "dinov2": _model("Dinov2Model", "Dinov2Config", mlp_ratio=2, **SMALL),
    "registers": _model(
        "Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", mlp_ratio=2,
        num_register_tokens=4, **SMALL,
    ),
    "dinov3": _model("DINOv3ViTModel", "DINOv3ViTConfig", num_register_tokens=4, **SMALL),
    "clip": _model("CLIPModel", "CLIPConfig", vision_config=SMALL, text_config=TEXT),
    "siglip": _model("SiglipModel", "SiglipConfig", vision_config=SMALL, text_config=TEXT),
    "llava": _llava,
    "qwen": _qwen,
}  # fmt: skip


def images(count=1, height=32, width=48):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, height, width, generator=generator) * 2 - 1


class Spy:
    """Maps of every attention call, mean over heads, in double precision; (tokens, tokens)."""

    def __init__(self, monkeypatch):
        self.maps = []
        original = torch.nn.functional.scaled_dot_product_attention

        def attend(query, key, value, *rest, **options):
            self.maps.append((query[0].detach().double(), key[0].detach().double()))
            assert options.get("attn_mask") is None
            return original(query, key, value, *rest, **options)

        monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)


def softmax(q, k, places):
    q, k = q[:, places], k[:, places]
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).mean(0)
