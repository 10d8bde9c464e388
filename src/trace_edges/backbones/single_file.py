"""A single file of weights, as people share them: no config beside it, none fetched.

The file is recognised by its tensors, and read with the architecture of the named checkpoint that
it is a version of.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import safe_open

from trace_edges.backbones.checkpoints import Config
from trace_edges.backbones.listed import Listed, family_of_checkpoint
from trace_edges.backbones.nulls import find_null
from trace_edges.backbones.pipelines import Parts, empty_denoiser
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.schedules import DDPMSchedule
from trace_edges.backbones.sources import INDEX, LORA_ALONE, Source, find_source
from trace_edges.backbones.specs import Family
from trace_edges.backbones.weights import check_header

_LORA = re.compile(r"lora[_.]")

# What diffusers calls the kinds of files -> the named checkpoint of the same architecture.
_KINDS = {
    "v1": "sd15",
    "xl_base": "sdxl",
    "sd3": "sd3-medium",
    "sd35_medium": "sd3.5-medium",
    "sd35_large": "sd3.5-large",
    "flux-dev": "flux-dev",
    "flux-schnell": "flux-schnell",
}


def read_single_file(
    source: Source,
    dtype: torch.dtype,
    device: torch.device,
    null: str | None,
    quantization: Any = None,
) -> Parts:
    """Denoiser, VAE, scheduler and null condition of a .safetensors file.

    A null condition that needs text encoders is that of the checkpoint it is a version of.

    Raises:
        BackboneError: it is of no known kind, or lacks the denoiser or the VAE.
    """
    check_header(Path(source.place))
    base = recognise(source)
    family = family_of_checkpoint(base)
    with TemporaryDirectory() as folder:
        configs = Source(source.name, folder)
        write_configs(family, base, Path(folder))
        listed = Listed.of(configs)
        config = empty_denoiser(listed).config
        if family.nulls[null or family.default_null].components:
            listed = Listed.of(find_source(base, local_files_only=source.local_files_only))
        condition = find_null(listed, config, null, dtype, device)
        denoiser = _part(
            source, folder, family.denoiser_class, family.denoiser, dtype, quantization
        )
        vae = _part(source, folder, "AutoencoderKL", "vae", family.vae_dtype(dtype))
    scheduler = family.noise_scheduler(base, **_markers(source, family))
    return Parts(family, denoiser, vae, scheduler, condition)


def _markers(source: Source, family: Family) -> Config:
    """What a file says of its own noise: tensors called `v_pred` and `ztsnr`, which fine-tunes of
    SDXL carry and ComfyUI reads, or `modelspec.prediction_type` of Stability's ModelSpec.
    """
    if family.schedule != DDPMSchedule.of:
        return {}
    with safe_open(source.place, "pt") as file:
        names, about = set(file.keys()), file.metadata() or {}
    found: Config = {}
    if "v_pred" in names or about.get("modelspec.prediction_type") in ("v", "v_prediction"):
        found["prediction_type"] = "v_prediction"
    if "ztsnr" in names:
        found["rescale_betas_zero_snr"] = True
    return found


def recognise(source: Source) -> str:
    """The named checkpoint that a file is a version of, by the names and shapes of its tensors.

    Raises:
        BackboneError: it is none of them.
    """
    from diffusers.loaders.single_file_utils import (
        CHECKPOINT_KEY_NAMES,
        LDM_VAE_KEYS,
        infer_diffusers_model_type,
    )

    with safe_open(source.place, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    if any(_LORA.search(name) for name in shapes):
        raise BackboneError(f"{source} is a LoRA {LORA_ALONE}")
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    kind = infer_diffusers_model_type(tensors)
    # "v1" is also its answer for a file that it does not know.
    known = kind in _KINDS and (kind != "v1" or CHECKPOINT_KEY_NAMES["v1"] in tensors)
    if not known:
        raise BackboneError(
            f"{source} holds no whole model of a known kind (known: {', '.join(_KINDS.values())}); "
            "write it as a folder with from_single_file and save_pretrained of its pipeline in "
            "diffusers, and give the folder"
        )
    if not any(name.startswith(tuple(LDM_VAE_KEYS)) for name in shapes):
        raise BackboneError(_lacking(source, "vae"))
    return _KINDS[kind]


def write_configs(family: Family, base: str, folder: Path) -> None:
    """Write the folder that the pipeline of a named checkpoint would have, but for its weights."""
    import diffusers

    pipeline = getattr(diffusers, family.pipelines[0])
    expected, _ = pipeline._get_signature_keys(pipeline)
    with torch.device("meta"):
        denoiser = getattr(diffusers, family.denoiser_class)(**family.denoiser_config(base))
        vae = diffusers.AutoencoderKL(**family.vae_config)
    index: dict[str, Any] = {"_class_name": family.pipelines[0]}
    index |= {name: [None, None] for name in expected}
    parts = {family.denoiser: denoiser, "vae": vae, "scheduler": family.noise_scheduler(base)}
    for name, part in parts.items():
        part.save_config(folder / name)
        index[name] = ["diffusers", type(part).__name__]
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _part(
    source: Source, folder: str, kind: str, name: str, dtype: torch.dtype, quantization: Any = None
) -> Any:
    import diffusers
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    try:
        return getattr(diffusers, kind).from_single_file(
            source.place, config=folder, subfolder=name, dtype=dtype, local_files_only=True,
            quantization_config=quantization,
        )  # fmt: skip
    except (SingleFileComponentError, NotImplementedError) as error:
        # A tensor that was never given a value is an error of torch, of this kind and text.
        if isinstance(error, NotImplementedError) and "meta tensor" not in str(error):
            raise
        raise BackboneError(_lacking(source, name)) from error


def _lacking(source: Source, part: str) -> str:
    return (
        f"{source} does not hold all weights of the {part}: put them together in a folder with "
        "save_pretrained of its pipeline in diffusers, and give the folder"
    )
