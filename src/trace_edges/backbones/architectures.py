"""The architectures of the named checkpoints, as their configs on the hub have them.

With them a model can be made without its weights: to count what it costs before it is fetched, and
to read a single file of weights that brings no config.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """What stands in the config.json of denoiser and VAE, and their classes in diffusers.

    Attributes:
        pipeline: class of the pipeline.
        denoiser: class of the denoiser.
        config: of the denoiser, where it is not the class's default.
        vae: of the autoencoder, where it is not the class's default.
        scheduler: class and config.
    """

    pipeline: str
    denoiser: str
    config: Config
    vae: Config
    scheduler: tuple[str, Config]


def _vae(channels: int, scaling: float, shift: float | None = None) -> Config:
    quantised = shift is None  # the later ones have no convolution around the latent
    return {
        "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "latent_channels": channels, "scaling_factor": scaling, "shift_factor": shift,
        "use_quant_conv": quantised, "use_post_quant_conv": quantised,
    }  # fmt: skip


_SCALED = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
           "steps_offset": 1, "clip_sample": False}  # fmt: skip
_LINEAR = {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02,
           "clip_sample": False, "steps_offset": 1}  # fmt: skip
_FLOW = "FlowMatchEulerDiscreteScheduler"
_SD_VAE, _SDXL_VAE = _vae(4, 0.18215), _vae(4, 0.13025)
_SD3_VAE, _FLUX_VAE = _vae(16, 1.5305, 0.0609), _vae(16, 0.3611, 0.1159)
_COGVIEW4_VAE = _vae(16, 1.0) | {
    "block_out_channels": (128, 512, 1024, 1024), "layers_per_block": 3,
    "mid_block_add_attention": False, "use_quant_conv": False, "use_post_quant_conv": False,
}  # fmt: skip

_SD15: Config = {
    "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768,
    "attention_head_dim": 8,
}  # fmt: skip
_SDXL: Config = {
    "sample_size": 128, "block_out_channels": (320, 640, 1280), "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
_PIXART: Config = {
    "sample_size": 128, "in_channels": 4, "out_channels": 8, "num_layers": 28,
    "num_attention_heads": 16, "attention_head_dim": 72, "cross_attention_dim": 1152,
    "caption_channels": 4096, "interpolation_scale": 2, "use_additional_conditions": True,
}  # fmt: skip
_SD3: Config = {
    "sample_size": 128, "in_channels": 16, "out_channels": 16, "num_layers": 24,
    "num_attention_heads": 24, "attention_head_dim": 64, "caption_projection_dim": 1536,
    "joint_attention_dim": 4096, "pooled_projection_dim": 2048, "pos_embed_max_size": 192,
}  # fmt: skip
_FLUX: Config = {"in_channels": 64, "guidance_embeds": True}
# Of klein and, by default, of dev, as diffusers converts them; a config on the hub was not read.
_KLEIN: Config = {
    "num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24,
    "joint_attention_dim": 7680, "guidance_embeds": False,
}  # fmt: skip
_Z_IMAGE: Config = {"axes_lens": (1536, 512, 512)}
_COGVIEW4: Config = {"num_layers": 28, "num_attention_heads": 32, "attention_head_dim": 128}
_HUNYUAN_DIT: Config = {
    "sample_size": 128, "in_channels": 4, "patch_size": 2, "num_layers": 40, "hidden_size": 1408,
    "mlp_ratio": 4.3637, "use_style_cond_and_image_meta_size": False,
}  # fmt: skip


def _sd(config: Config, prediction: str = "epsilon") -> Architecture:
    scheduler = ("DDIMScheduler", _SCALED | {"prediction_type": prediction})
    return Architecture(
        "StableDiffusionPipeline", "UNet2DConditionModel", config, _SD_VAE, scheduler
    )


def _pixart(kind: str, vae: Config, **config: Any) -> Architecture:
    return Architecture(
        f"PixArt{kind}Pipeline", "PixArtTransformer2DModel", _PIXART | config, vae,
        ("DDIMScheduler", _LINEAR),
    )  # fmt: skip


def _sd3(**config: Any) -> Architecture:
    return Architecture(
        "StableDiffusion3Pipeline", "SD3Transformer2DModel", _SD3 | config, _SD3_VAE,
        (_FLOW, {"shift": 3.0}),
    )  # fmt: skip


def _flux(**config: Any) -> Architecture:
    return Architecture(
        "FluxPipeline", "FluxTransformer2DModel", _FLUX | config, _FLUX_VAE, (_FLOW, {})
    )


def _flux2(kind: str = "", **config: Any) -> Architecture:
    return _flow(f"Flux2{kind}Pipeline", "Flux2Transformer2DModel", config, {})


def _flow(pipeline: str, denoiser: str, config: Config, vae: Config) -> Architecture:
    return Architecture(pipeline, denoiser, config, vae, (_FLOW, {}))


ARCHITECTURES: dict[str, Architecture] = {
    "sd15": _sd(_SD15),
    "sd21": _sd(
        _SD15 | {"sample_size": 96, "cross_attention_dim": 1024, "use_linear_projection": True,
                 "attention_head_dim": (5, 10, 20, 20), "upcast_attention": True},
        "v_prediction",
    ),
    "sdxl": Architecture(
        "StableDiffusionXLPipeline", "UNet2DConditionModel", _SDXL, _SDXL_VAE,
        ("DDIMScheduler", _SCALED),
    ),
    "pixart-alpha-512": _pixart(
        "Alpha", _SD_VAE, sample_size=64, interpolation_scale=1, use_additional_conditions=False
    ),
    "pixart-alpha": _pixart("Alpha", _SD_VAE),
    "pixart-sigma": _pixart("Sigma", _SDXL_VAE, use_additional_conditions=False),
    "sd3-medium": _sd3(),
    "sd3.5-medium": _sd3(
        qk_norm="rms_norm", dual_attention_layers=tuple(range(13)), pos_embed_max_size=384
    ),
    "sd3.5-large": _sd3(
        qk_norm="rms_norm", num_layers=38, num_attention_heads=38, caption_projection_dim=2432
    ),
    "flux-dev": _flux(),
    "flux-schnell": _flux(guidance_embeds=False),
    "flux2-dev": _flux2(),
    "flux2-klein-4b": _flux2("Klein", **_KLEIN),
    "flux2-klein-9b": _flux2(
        "Klein",
        **_KLEIN | {"num_layers": 8, "num_single_layers": 24, "num_attention_heads": 32,
                    "joint_attention_dim": 12288},
    ),
    "qwen-image": _flow("QwenImagePipeline", "QwenImageTransformer2DModel", {}, {}),
    "z-image": _flow("ZImagePipeline", "ZImageTransformer2DModel", _Z_IMAGE, _FLUX_VAE),
    "z-image-turbo": _flow("ZImagePipeline", "ZImageTransformer2DModel", _Z_IMAGE, _FLUX_VAE),
    "lumina2": _flow(
        "Lumina2Pipeline", "Lumina2Transformer2DModel", {"cap_feat_dim": 2304}, _FLUX_VAE
    ),
    "auraflow": _flow(
        "AuraFlowPipeline", "AuraFlowTransformer2DModel", {"pos_embed_max_size": 4096}, _SDXL_VAE
    ),
    "chroma1-hd": _flow("ChromaPipeline", "ChromaTransformer2DModel", {}, _FLUX_VAE),
    "cogview4": _flow(
        "CogView4Pipeline", "CogView4Transformer2DModel", _COGVIEW4, _COGVIEW4_VAE
    ),
    "hunyuan-dit-1.2": Architecture(
        "HunyuanDiTPipeline", "HunyuanDiT2DModel", _HUNYUAN_DIT, _SDXL_VAE,
        ("DDPMScheduler", _SCALED | {"beta_end": 0.018, "prediction_type": "v_prediction"}),
    ),
}  # fmt: skip
