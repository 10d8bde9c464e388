"""From a name, a folder or a hub id to a vision transformer that is ready to be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import safe_open
from torch import Tensor

from trace_edges.backbones.components import named, read_model
from trace_edges.backbones.configs import (
    CLIP,
    HALF,
    IMAGENET,
    Colours,
    colours_of,
    read_colours,
    read_config,
)
from trace_edges.backbones.encoders.encoder import (
    EncoderBackbone,
    Tower,
    attention_layers,
    qwen_order,
    row_by_row,
    run_plain,
    run_qwen,
    run_timm,
)
from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.backbones.explained import explained
from trace_edges.backbones.problems import BackboneError, did_you_mean
from trace_edges.backbones.sources import INDEX, Source, find_source
from trace_edges.backbones.weights import check_header, listed_weights
from trace_edges.extras import require

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
PREPROCESSOR = "preprocessor_config.json"

_MOST_TIMES = 8  # that a model is larger than the file of its weights

# `model_type` of the config -> colours where no preprocessor has them. Their attention is one
# softmax without a bias, which is what can be read.
_PLAIN = {
    "vit": HALF,
    "deit": IMAGENET,
    "dinov2": IMAGENET,
    "dinov2_with_registers": IMAGENET,
    "dinov3_vit": IMAGENET,
    "clip": CLIP,
    "clip_vision_model": CLIP,
    "siglip": HALF,
    "siglip_vision_model": HALF,
}

# Models of images and text: names of the tensors of their vision tower, and its class.
_TOWERS = {
    "llava": (re.compile(r"(?:model\.)?vision_tower\."), "CLIPVisionModel"),
    "qwen2_5_vl": (
        re.compile(r"(?:model\.)?visual\."),
        "models.qwen2_5_vl.modeling_qwen2_5_vl.Qwen2_5_VisionTransformerPretrainedModel",
    ),
}
_QWEN_RESOLUTION = 448  # trained at any; an image of this size has 32 x 32 tokens


def is_encoder(
    name: str | Path, revision: str | None = None, local_files_only: bool = False
) -> bool:
    """Whether a name, folder or hub id is a model of transformers or timm, not of diffusers.

    Raises:
        BackboneError: it is none of these, or cannot be reached.
    """
    if str(name) in ENCODERS:
        return True
    if not Path(name).exists() and str(name).count("/") != 1:
        return False
    source = find_source(name, revision, local_files_only)
    if source.is_file:
        return False
    with explained(str(source)):
        try:
            index = source.find(INDEX)
        except LocalEntryNotFoundError:  # not here, if only because there is none
            index = None
        return index is None and source.find(_CONFIG) is not None


def load_encoder(
    name: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> EncoderBackbone:
    """Load a vision transformer by a name of `ENCODERS`, a folder, or a hub id.

    Args:
        name: of transformers (ViT, DINO, DINOv2, DINOv3, CLIP, SigLIP), of timm (EVA02), or LLaVA
            and Qwen2.5-VL, of which only the vision tower is loaded, or even fetched.
        dtype, device: of the weights.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the network.

    Raises:
        BackboneError: it is not found, or cannot be read.
        MissingExtraError: it is of timm, which is not installed.
    """
    source = encoder_source(name, revision, local_files_only)
    with explained(str(source)):
        tower = read_tower(source, dtype)
    encoder = EncoderBackbone(str(name), tower)
    encoder.loaded_with = {"revision": revision}
    return encoder.to(device)


def load_vit(name: str | Path = "dino-vitb8", **options: Any) -> EncoderBackbone:
    """Load a vision transformer that has keys of its own, for `EncoderBackbone.keys`.

    Args: as of `load_encoder`.

    Raises:
        BackboneError: it is not found, or no vision transformer with keys of its own.
    """
    encoder = load_encoder(name, **options)
    if not encoder.key_layers:
        raise BackboneError(
            f"encoder {str(name)!r} is a {type(encoder.model).__name__}, which has no keys of its "
            "own; use one such as facebook/dino-vitb8"
        )
    return encoder


def encoder_source(
    name: str | Path, revision: str | None = None, local_files_only: bool = False
) -> Source:
    """Find where an encoder of this name lies; nothing is fetched yet.

    Raises:
        BackboneError: the name is none of the table, nor a folder, nor a hub id.
    """
    place = ENCODERS[str(name)].hub if str(name) in ENCODERS else str(name)
    if not Path(place).is_dir() and (place.count("/") != 1 or Path(place).is_file()):
        raise BackboneError(
            f"encoder {place!r} is neither one of {', '.join(ENCODERS)}, nor a folder, nor a hub "
            f"id (owner/name){did_you_mean(place, ENCODERS)}"
        )
    return Source(str(name), place, revision, local_files_only)


def read_tower(source: Source, dtype: torch.dtype) -> Tower:
    """The vision transformer of a folder or repository.

    Raises:
        BackboneError: it has none that can be read.
        MissingExtraError: it is of timm, which is not installed.
    """
    path = source.fetch(_CONFIG)
    config = read_config(path)
    kind = config.get("model_type")
    timm = kind is None and "architecture" in config
    if not timm and (not isinstance(kind, str) or kind not in _PLAIN | _TOWERS.keys()):
        raise BackboneError(
            f"{path}: model_type is {str(kind)[:80]!r}, whose attention cannot be read; known: "
            f"{', '.join([*_PLAIN, *_TOWERS])}, and those of timm"
        )
    # What its keys have no right value for is found out by torch, in the end.
    with named(f"{path} does not describe an encoder"):
        if timm:
            return _of_timm(source, path, config, dtype)
        return (_within if kind in _TOWERS else _plain)(source, str(kind), dtype)


def _plain(source: Source, kind: str, dtype: torch.dtype) -> Tower:
    folder, variants = source.fetch_parts({".": True}, leading=".")
    from transformers import AutoModel

    model = read_model(folder, AutoModel, dtype, variants["."], attn_implementation="sdpa")
    model = getattr(model, "vision_model", model)  # of a pair with a text encoder: CLIP, SigLIP
    return _tower(model, read_colours(source.find(PREPROCESSOR), _PLAIN[kind]))


def _within(source: Source, kind: str, dtype: torch.dtype) -> Tower:
    import transformers
    from transformers import AutoConfig

    pattern, place = _TOWERS[kind]
    whole = AutoConfig.from_pretrained(source.place, trust_remote_code=False, **source.hub)
    made: Any = transformers
    for part in place.split("."):
        made = getattr(made, part)
    tensors = _tensors(source, pattern)
    model, found = made.from_pretrained(
        None, config=whole.vision_config, state_dict=tensors, dtype=dtype,
        attn_implementation="sdpa", output_loading_info=True,
    )  # fmt: skip
    if found["missing_keys"]:
        raise BackboneError(
            f"{source} lacks weights of its vision tower (first: {min(found['missing_keys'])!r})"
        )
    colours = read_colours(source.find(PREPROCESSOR), CLIP)
    return _qwen(model, colours) if kind == "qwen2_5_vl" else _tower(model, colours)


def _of_timm(source: Source, path: Path, config: dict[str, Any], dtype: torch.dtype) -> Tower:
    timm = require("timm", "timm")
    if ":" in str(config["architecture"]):  # timm would fetch another model, its pickles too
        raise BackboneError(f"{source}: {_CONFIG}: architecture must be a name of timm's")
    weights = source.fetch(_WEIGHTS)
    check_header(weights)
    options = dict(config.get("model_args") or {})
    options |= {"num_classes": config["num_classes"]} if "num_classes" in config else {}
    options |= {"model_name": config["architecture"], "pretrained": False,
                "dynamic_img_size": True}  # fmt: skip
    with torch.device("meta"):
        size = sum(weight.nbytes for weight in timm.create_model(**options).parameters())
    if size > _MOST_TIMES * weights.stat().st_size:
        raise BackboneError(f"{source}: {_CONFIG} describes a model of {size} bytes, but "
                            f"{_WEIGHTS} has {weights.stat().st_size}")  # fmt: skip
    model = timm.create_model(checkpoint_path=str(weights), **options)
    cell = model.patch_embed.patch_size[0]
    trained = config["pretrained_cfg"]
    colours = colours_of({"image_mean": trained["mean"], "image_std": trained["std"]}, path)
    layers = attention_layers(model)
    return Tower(
        model.to(dtype), *colours, cell, cell, trained["input_size"][-1], layers,
        run_timm, row_by_row,
    )  # fmt: skip


def _tower(model: Any, colours: Colours) -> Tower:
    cell, size = model.config.patch_size, model.config.image_size
    return Tower(model, *colours, cell, cell, size, attention_layers(model), run_plain, row_by_row)


def _qwen(model: Any, colours: Colours) -> Tower:
    """Read the blocks without windows: the others see no border between two windows, and would
    draw the windows' outlines.
    """
    config = model.config
    cell, wide = config.patch_size, config.fullatt_block_indexes
    layers = tuple(f"blocks.{index}.attn" for index in wide)
    return Tower(
        model, *colours, cell, cell * config.spatial_merge_size, _QWEN_RESOLUTION, layers,
        run_qwen, qwen_order(config), batched=False,
    )  # fmt: skip


def _tensors(source: Source, pattern: re.Pattern[str]) -> dict[str, Tensor]:
    """Tensors of the files of weights whose names begin so, named without the beginning."""
    index = source.find(f"{_WEIGHTS}.index.json")
    names = {_WEIGHTS}
    if index is not None:
        names = {file for name, file in listed_weights(index).items() if pattern.match(name)}
    tensors = {}
    for name in sorted(names):
        check_header(path := source.fetch(name))
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118
                if start := pattern.match(key):
                    tensors[key[start.end() :]] = file.get_tensor(key)
    return tensors
