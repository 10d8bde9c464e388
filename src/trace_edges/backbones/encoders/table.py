"""The table of encoders that have names; folders and hub ids of their kinds work as well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoder:
    """One row of the table.

    Attributes:
        hub: hub id.
        licence: of the weights.
        cell: pixels along a side of one token.
        resolution: along a side, px, that it was trained at and is read at by default.
        gated: whether the licence must be accepted on the hub first.
        note: what else one should know.
    """

    hub: str
    licence: str
    cell: int
    resolution: int
    gated: bool = False
    note: str = ""


_APACHE, _MIT, _META = "Apache-2.0", "MIT", "DINOv3 License"
_UNSTATED = "none stated with the weights"
_TOWER = "the vision tower alone, of which nothing else is fetched"


def _dino(size: str, cell: int) -> Encoder:
    return Encoder(f"facebook/dino-vit{size}{cell}", _APACHE, cell, 224)


def _dinov2(size: str, registers: str = "") -> Encoder:
    return Encoder(f"facebook/dinov2-{registers}{size}", _APACHE, 14, 518)


def _dinov3(size: str) -> Encoder:
    return Encoder(f"facebook/dinov3-vit{size}16-pretrain-lvd1689m", _META, 16, 224, gated=True)


def _qwen(size: str, licence: str) -> Encoder:
    hub = f"Qwen/Qwen2.5-VL-{size}-Instruct"
    return Encoder(hub, licence, 14, 448, note=f"{_TOWER}; its four blocks without windows")


ENCODERS: dict[str, Encoder] = {
    "dino-vitb8": _dino("b", 8),
    "dino-vits8": _dino("s", 8),
    "dino-vitb16": _dino("b", 16),
    "dino-vits16": _dino("s", 16),
    "dinov2-small": _dinov2("small"),
    "dinov2-base": _dinov2("base"),
    "dinov2-large": _dinov2("large"),
    "dinov2-giant": _dinov2("giant"),
    "dinov2-small-registers": _dinov2("small", "with-registers-"),
    "dinov2-base-registers": _dinov2("base", "with-registers-"),
    "dinov2-large-registers": _dinov2("large", "with-registers-"),
    "dinov2-giant-registers": _dinov2("giant", "with-registers-"),
    "dinov3-small": _dinov3("s"),
    "dinov3-base": _dinov3("b"),
    "dinov3-large": _dinov3("l"),
    "dinov3-7b": _dinov3("7b"),
    "clip-base": Encoder("openai/clip-vit-base-patch16", _UNSTATED, 16, 224),
    "clip-large": Encoder("openai/clip-vit-large-patch14-336", _UNSTATED, 14, 336),
    "siglip-base": Encoder("google/siglip-base-patch16-224", _APACHE, 16, 224),
    "siglip-so400m": Encoder("google/siglip-so400m-patch14-384", _APACHE, 14, 384),
    "eva02-base": Encoder(
        "timm/eva02_base_patch14_448.mim_in22k_ft_in22k_in1k", _MIT, 14, 448,
        note='pip install "trace-edges[timm]"',
    ),
    "eva02-large": Encoder(
        "timm/eva02_large_patch14_448.mim_m38m_ft_in22k_in1k", _MIT, 14, 448,
        note='pip install "trace-edges[timm]"',
    ),
    "llava-1.5-7b": Encoder(
        "llava-hf/llava-1.5-7b-hf", "Llama 2 Community License", 14, 336, note=_TOWER
    ),
    "qwen2.5-vl-3b": _qwen("3B", "Qwen Research License"),
    "qwen2.5-vl-7b": _qwen("7B", _APACHE),
    "qwen2.5-vl-72b": _qwen("72B", "Qwen License"),
}  # fmt: skip
