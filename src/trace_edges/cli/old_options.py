"""Options that several commands take, and the loading of what they name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer


class Trajectory(StrEnum):
    """Names of the two trajectories, for the command line."""

    inversion = "inversion"
    noise = "noise"


class Format(StrEnum):
    """Names of the edge formats, for the command line."""

    png = "png"
    png16 = "png16"
    npy = "npy"


class DType(StrEnum):
    """Names of the weights' types, for the command line."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


class Quantization(StrEnum):
    """Names of the ways to quantise, for the command line."""

    bnb_4bit = "bnb-4bit"
    bnb_8bit = "bnb-8bit"
    torchao_int8 = "torchao-int8"


Backbone = Annotated[
    str, typer.Option(help="A name (`trace-edges backbones`), a folder, or a hub id.")
]
Resolution = Annotated[
    int | None,
    typer.Option(help="sqrt(H*W) in px of what the model sees. Default: the backbone's.", min=1),
]
Subcell = Annotated[
    int | None,
    typer.Option(
        "--subcell",
        "--refine",
        help="k: k x k views, 1/k of a cell apart. Default: the backbone's.",
    ),
]
Path_ = Annotated[Trajectory, typer.Option("--trajectory", help="How noise is added.")]
Timestep = Annotated[int | None, typer.Option(help="Read this step instead of t*.")]
Stride = Annotated[int, typer.Option(help="Between the steps of the trajectory.", min=1)]
Seed = Annotated[int, typer.Option(help="Of the noise in the noise trajectory.")]
EmergenceResolution = Annotated[
    int | None,
    typer.Option(help="Like --resolution, for the KL curve. Default: the backbone's.", min=1),
]
Shift = Annotated[
    float, typer.Option(help="Of flow models: step towards noise sooner; their samplers take 3.")
]
Null = Annotated[str | None, typer.Option(help="Which null condition. Default: the family's.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")]
Quantize = Annotated[
    Quantization | None, typer.Option(help="Hold the denoiser in fewer bits (extra: quantize).")
]
Offload = Annotated[
    bool, typer.Option("--offload", help="Weights on the device only while they run.")
]
VaeTiling = Annotated[
    bool, typer.Option("--vae-tiling", help="Encode large images in tiles, to save memory.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, ...; auto takes an accelerator if any.")]
Weights = Annotated[DType, typer.Option("--dtype", help="Of the weights.")]


def load_pipeline(
    name: str, device: str, dtype: DType, options: Mapping[str, Any] | None = None
) -> Any:
    """The pipeline that `--backbone`, `--device` and `--dtype` name, loaded by `load_options`."""
    from trace_edges.load_options import LoadOptions

    return LoadOptions(**options or {}).load(name, **placement(device, dtype))


def load_options(
    null: str | None,
    revision: str | None,
    quantize: Quantization | None,
    offload: bool,
    vae_tiling: bool,
) -> dict[str, Any]:
    """Fields of `LoadOptions`; those that nobody asked for are `NO_LOAD_OPTIONS`."""
    return {
        "null": null, "revision": revision, "quantize": quantize and quantize.value,
        "offload": offload, "vae_tiling": vae_tiling,
    }  # fmt: skip


NO_LOAD_OPTIONS = load_options(None, None, None, False, False)


def load_denoiser(
    name: str, device: str, dtype: DType, options: Mapping[str, Any] | None = None
) -> Any:
    """The diffusion model that `--backbone`, `--device` and `--dtype` name, and no encoder; loaded
    by those `load_options` that say what its weights are.
    """
    from trace_edges.backbones import WEIGHT_OPTIONS, load_backbone

    said: dict[str, Any] = {name: (options or {}).get(name) for name in WEIGHT_OPTIONS}
    return load_backbone(name, **placement(device, dtype), **said)


def load_detector(name: str, device: str, dtype: DType) -> Any:
    """The distilled detector that `--detector`, `--device` and `--dtype` name."""
    from trace_edges.detector import EdgeDetector

    return EdgeDetector.from_pretrained(name, **placement(device, dtype))


def load_encoder(name: str, device: str, dtype: DType) -> Any:
    """The ViT that `--encoder`, `--device` and `--dtype` name."""
    from trace_edges.backbones import load_vit

    return load_vit(name, **placement(device, dtype))


def load_sam(name: str, device: str, dtype: DType) -> Any:
    """The SAM that `--sam`, `--device` and `--dtype` name; a folder never asks the network."""
    from pathlib import Path

    from trace_edges.instances.sam import load_sam

    return load_sam(name, local_files_only=Path(name).is_dir(), **placement(device, dtype))


def placement(device: str, dtype: DType) -> dict[str, Any]:
    """Where weights are to lie and as what; `ValueError` if the device is not there."""
    import torch

    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        device = str(accelerator or "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {device!r} is not available: {reason}") from error
    return {"dtype": getattr(torch, dtype.value), "device": place}
