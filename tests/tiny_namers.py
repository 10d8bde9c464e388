"""A random CLIP and SigLIP small enough to run in a test."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors


def write_namer(kind: str, folder: Path) -> Path:
    """Write the folder of a random tiny "clip" or "siglip" that knows a few words, and give it."""
    words = ["<pad>", "<unk>", "<bos>", "a", "photo", "of", "red", "green", "blue", "<eos>"]
    numbers = {word: n for n, word in enumerate(words)}
    raw = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing("<bos> $A <eos>", special_tokens=[
        ("<bos>", numbers["<bos>"]), ("<eos>", numbers["<eos>"]),
    ])  # fmt: skip
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>"
    )
    text = {"vocab_size": 10, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "max_position_embeddings": 8, "eos_token_id": 9,
            "bos_token_id": 2, "pad_token_id": 0, "projection_size": 8}  # fmt: skip
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
              "num_attention_heads": 1, "image_size": 16, "patch_size": 4}  # fmt: skip
    names = {"clip": "CLIP", "siglip": "Siglip"}[kind]
    config = getattr(transformers, f"{names}Config")(
        text_config=text, vision_config=vision, projection_dim=8
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{names}Model")(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape))  # lively: images differ in what they are
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    colours = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_namer():
    """`write_namer`."""
    return write_namer
