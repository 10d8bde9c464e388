"""Names for masks, by a model of images and text such as CLIP or SigLIP (zero-shot).

Each mask is cut out of the image in a square around its box, and the name whose text lies nearest
to the crop is its class. As with SAM, crops are scaled here, since the processors of transformers
may need torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from PIL import Image
from torch import Tensor

from trace_edges.backbones.backbone import weights_fingerprint
from trace_edges.backbones.components import named, read_model
from trace_edges.backbones.configs import CLIP, HALF, read_colours, read_config
from trace_edges.backbones.sources import other_source
from trace_edges.results import InstanceMasks

Background = Literal["keep", "blank"]

PROMPT = "a photo of a {}"
_CONTEXT = 1.2  # side of a crop, as a multiple of the longer side of the box
_BATCH = 32
_VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
_COLOURS = {"clip": CLIP, "siglip": HALF, "siglip2": HALF}  # by model_type


class NamingError(ValueError):
    """A model that is not found, is of another kind, or lacks a part; the message is one line."""


@dataclass(frozen=True, eq=False)
class ClassNamer:
    """A model and the texts of the classes, as it embeds them.

    Attributes:
        name: of the model.
        model: `CLIPModel` or `SiglipModel` of transformers, in evaluation mode.
        texts: (classes, c) unit vectors.
        mean, std: of the colours in [0, 1] that it was trained with.
        background: "keep" what surrounds a mask in its crop, or make it "blank".
    """

    name: str
    model: Any
    texts: Float[Tensor, "k c"]
    mean: Float32[Tensor, "3 1 1"]
    std: Float32[Tensor, "3 1 1"]
    background: Background = "keep"

    def describe(self) -> dict[str, Any]:
        """What a class depends on beside the names, plain JSON values."""
        weights = weights_fingerprint((), self.model.state_dict())
        known = {"class_model": self.name, "class_weights": weights, "prompt": PROMPT}
        return known | {"class_background": self.background}

    @torch.inference_mode()
    def __call__(
        self, image: UInt8[np.ndarray, "h w 3"], masks: InstanceMasks
    ) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """The class of each mask, and how sure it is in [0, 1]: the share that the softmax over
        the classes gives it, or with SigLIP its own probability.
        """
        rows = [np.zeros((0, len(self.texts)), dtype=np.float32)]
        for start in range(0, len(masks), _BATCH):
            part = range(start, min(start + _BATCH, len(masks)))
            pixels = torch.stack([self._crop(image, masks, index) for index in part])
            seen = _unit(self.model.get_image_features(pixel_values=pixels.to(self.texts)))
            logits = (seen @ self.texts.T).float() * self.model.logit_scale.float().exp()
            bias = getattr(self.model, "logit_bias", None)
            sure = logits.softmax(dim=1) if bias is None else (logits + bias.float()).sigmoid()
            rows.append(sure.cpu().numpy())
        found = np.concatenate(rows)
        chosen = found.argmax(axis=1)
        return chosen, found[np.arange(len(found)), chosen]

    def _crop(
        self, image: UInt8[np.ndarray, "h w 3"], masks: InstanceMasks, index: int
    ) -> Float32[Tensor, "3 s s"]:
        """A square around a mask; what lies outside the image, or is blank, has the mean colour."""
        left, top, right, bottom = masks.boxes[index].tolist()
        side = max(1, round(_CONTEXT * max(right - left, bottom - top)))
        x, y = (left + right - side) // 2, (top + bottom - side) // 2
        mean = (255 * self.mean.flatten()).round().to(torch.uint8).tolist()
        canvas = Image.new("RGB", (side, side), tuple(mean))
        window = max(x, 0), max(y, 0), min(x + side, masks.shape[1]), min(y + side, masks.shape[0])
        cut, shape = Image.fromarray(image[window[1] : window[3], window[0] : window[2]]), None
        if self.background == "blank":
            inside = np.zeros((window[3] - window[1], window[2] - window[0]), dtype=bool)
            inside[top - window[1] : bottom - window[1], left - window[0] : right - window[0]] = (
                masks.crops[index]
            )
            shape = Image.fromarray(inside)
        canvas.paste(cut, (window[0] - x, window[1] - y), shape)
        size = self.model.config.vision_config.image_size
        resized = canvas.resize((size, size), Image.Resampling.BICUBIC)
        colours = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255
        return (colours - self.mean) / self.std


def load_namer(
    name: str | Path,
    classes: Sequence[str],
    *,
    background: Background = "keep",
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> ClassNamer:
    """Load a CLIP or SigLIP from a folder of transformers or the hub, as
    openai/clip-vit-base-patch32, and embed the names of the classes.

    Args:
        name: folder or hub id, with config.json, model.safetensors and a tokenizer.
        classes: their names, in the words of the model; "a photo of a" is put before each.
        background: "keep" what surrounds a mask in its crop, or make it "blank".
        dtype, device: number type and place of the weights.
        revision: branch, tag or commit on the hub.
        local_files_only: never use the network.

    Raises:
        NamingError: it is not found, is of another kind, or lacks weights or a tokenizer.
        ValueError: there is no class, or no such background.
    """
    if not classes:
        raise ValueError("no class is named: give at least one")
    if background not in get_args(Background):
        raise ValueError(f"background must be keep or blank, not {background!r}")
    place = {"revision": revision, "local_files_only": local_files_only}
    with other_source(name, "class model", NamingError, **place) as source:
        kind = str(read_config(source.fetch("config.json")).get("model_type"))[:80]
        if kind not in _COLOURS:
            raise NamingError(f"{source} is a {kind}, which is none of {', '.join(_COLOURS)}; "
                              "use one such as openai/clip-vit-base-patch32")  # fmt: skip
        folder, variants = source.fetch_parts({".": True}, leading=".")
        if set(map(source.find, _VOCABULARIES)) == {None}:
            raise NamingError(f"{source} has no tokenizer: add its {_VOCABULARIES[0]}")
        for file in ("tokenizer_config.json", "special_tokens_map.json", "merges.txt"):
            source.find(file)
        from transformers import AutoModel, AutoTokenizer

        model = read_model(folder, AutoModel, dtype, variants["."]).eval().to(device)
        with named(f"{folder} does not hold a tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
        colours = read_colours(source.find("preprocessor_config.json"), _COLOURS[kind])
    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(
        [PROMPT.format(one) for one in classes], padding="max_length", truncation=True,
        max_length=length, return_tensors="pt",
    ).to(device)  # fmt: skip
    if kind != "clip":
        tokens.pop("attention_mask", None)  # SigLIP was trained without
    with torch.inference_mode():
        texts = _unit(model.get_text_features(**tokens))
    return ClassNamer(source.name, model, texts, *colours, background)


def _unit(features: Any) -> Float[Tensor, "n c"]:
    """Unit vectors; transformers 5 gives them within an output."""
    vectors: Tensor = getattr(features, "pooler_output", features)
    return torch.nn.functional.normalize(vectors, dim=-1)
