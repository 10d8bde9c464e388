"""Random pipelines of diffusers small enough to run in a test, one for each kind of backbone."""

import inspect
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import save_file


def tiny_vae(shift=0.25):
    """A random autoencoder of 8 px to a latent cell and four channels, with a shift."""
    return diffusers.AutoencoderKL(
        latent_channels=4, block_out_channels=(16,) * 4, norm_num_groups=8, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.5, shift_factor=shift,
    )  # fmt: skip


def tiny_flux2_vae():
    """One whose batch norm has seen something."""
    vae = diffusers.AutoencoderKLFlux2(
        latent_channels=4, block_out_channels=(16,) * 4, norm_num_groups=8, layers_per_block=1
    )
    vae.bn.running_mean.copy_(torch.linspace(-0.2, 0.3, 16))
    vae.bn.running_var.copy_(torch.linspace(0.5, 2, 16))
    return vae


def tiny_qwen_vae():
    """One of videos, with mean and standard deviation of its four channels."""
    return diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[0.5, 1.5, 1.0, 2.0],
    )  # fmt: skip


_UNET = {"in_channels": 4, "out_channels": 4, "layers_per_block": 1, "norm_num_groups": 8}
_SD15 = _UNET | {
    "sample_size": 16, "block_out_channels": (16, 32, 32, 32), "cross_attention_dim": 24,
    "attention_head_dim": 4,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}  # fmt: skip
_SDXL = _UNET | {
    "sample_size": 32, "block_out_channels": (16, 32, 32), "cross_attention_dim": 24,
    "transformer_layers_per_block": (1, 1, 2), "attention_head_dim": (2, 4, 4),
    "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 6 * 8 + 20,
    "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
    "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
}  # fmt: skip
_PIXART = {"sample_size": 32, "patch_size": 2, "in_channels": 4, "out_channels": 8,
           "num_layers": 2, "attention_head_dim": 12, "num_attention_heads": 4,
           "cross_attention_dim": 48, "caption_channels": 16, "interpolation_scale": 2,
           "use_additional_conditions": False}  # fmt: skip
_SD3 = {"sample_size": 32, "patch_size": 2, "in_channels": 4, "out_channels": 4, "num_layers": 3,
        "attention_head_dim": 8, "num_attention_heads": 4, "joint_attention_dim": 24,
        "caption_projection_dim": 32, "pooled_projection_dim": 20,
        "pos_embed_max_size": 32}  # fmt: skip
_FLUX = {"patch_size": 1, "in_channels": 16, "num_layers": 2, "num_single_layers": 2,
         "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 24,
         "pooled_projection_dim": 20, "axes_dims_rope": (4, 4, 8),
         "guidance_embeds": True}  # fmt: skip
_FLUX2 = {"in_channels": 16, "num_layers": 2, "num_single_layers": 2, "attention_head_dim": 16,
          "num_attention_heads": 2, "joint_attention_dim": 24, "axes_dims_rope": (4, 4, 4, 4),
          "timestep_guidance_channels": 32, "guidance_embeds": True}  # fmt: skip
_QWEN_IMAGE = {"in_channels": 16, "out_channels": 4, "num_layers": 3, "attention_head_dim": 16,
               "num_attention_heads": 2, "joint_attention_dim": 24,
               "axes_dims_rope": (4, 6, 6)}  # fmt: skip
_Z_IMAGE = {"in_channels": 4, "dim": 32, "n_layers": 2, "n_refiner_layers": 1, "n_heads": 2,
            "n_kv_heads": 2, "cap_feat_dim": 24, "axes_dims": [4, 6, 6],
            "axes_lens": [256, 32, 32]}  # fmt: skip
_LUMINA2 = {"sample_size": 32, "in_channels": 4, "hidden_size": 48, "num_layers": 2,
            "num_refiner_layers": 1, "num_attention_heads": 4, "num_kv_heads": 2,
            "multiple_of": 16, "axes_dim_rope": (4, 4, 4), "axes_lens": (300, 32, 32),
            "cap_feat_dim": 24}  # fmt: skip
_AURA_FLOW = {"sample_size": 16, "in_channels": 4, "num_mmdit_layers": 1,
              "num_single_dit_layers": 2, "attention_head_dim": 8, "num_attention_heads": 4,
              "joint_attention_dim": 24, "caption_projection_dim": 32, "out_channels": 4,
              "pos_embed_max_size": 64}  # fmt: skip
_CHROMA = {"in_channels": 16, "num_layers": 2, "num_single_layers": 2, "attention_head_dim": 16,
           "num_attention_heads": 2, "joint_attention_dim": 24, "axes_dims_rope": (4, 4, 8),
           "approximator_num_channels": 32, "approximator_hidden_dim": 16,
           "approximator_layers": 1}  # fmt: skip
_COGVIEW4 = {"sample_size": 32, "in_channels": 4, "out_channels": 4, "num_layers": 2,
             "attention_head_dim": 16, "num_attention_heads": 2, "text_embed_dim": 24,
             "time_embed_dim": 16, "condition_dim": 8}  # fmt: skip
_HUNYUAN_DIT = {"sample_size": 32, "in_channels": 4, "patch_size": 2, "num_layers": 4,
                "attention_head_dim": 8, "num_attention_heads": 4, "hidden_size": 32,
                "cross_attention_dim": 16, "cross_attention_dim_t5": 24,
                "pooled_projection_dim": 12}  # fmt: skip
_EMBEDS, _POOLED = {"prompt_embeds": (1, 7, 24)}, {"pooled_prompt_embeds": (1, 20)}

# What a tiny random model of each is made of: classes of the pipeline and of the denoiser, its
# config, the scheduler (a prediction type of DDPM's kind, or "flow") and the null condition.
TINY = {
    "sd15": ("StableDiffusionPipeline", "UNet2DConditionModel", _SD15, "epsilon", _EMBEDS),
    "sd21": ("StableDiffusionPipeline", "UNet2DConditionModel",
             _SD15 | {"attention_head_dim": (2, 4, 4, 4), "use_linear_projection": True},
             "v_prediction", _EMBEDS),
    "sdxl": ("StableDiffusionXLPipeline", "UNet2DConditionModel", _SDXL, "epsilon",
             _EMBEDS | _POOLED),
    "pixart": ("PixArtAlphaPipeline", "PixArtTransformer2DModel", _PIXART, "epsilon",
               {"prompt_embeds": (1, 6, 16), "prompt_attention_mask": (1, 6)}),
    "pixart-sigma": ("PixArtSigmaPipeline", "PixArtTransformer2DModel", _PIXART, "epsilon",
                     {"prompt_embeds": (1, 6, 16), "prompt_attention_mask": (1, 6)}),
    "sd3": ("StableDiffusion3Pipeline", "SD3Transformer2DModel", _SD3, "flow", _EMBEDS | _POOLED),
    "sd3.5-large": ("StableDiffusion3Pipeline", "SD3Transformer2DModel",
                    _SD3 | {"qk_norm": "rms_norm"}, "flow", _EMBEDS | _POOLED),
    "sd3.5-medium": ("StableDiffusion3Pipeline", "SD3Transformer2DModel",
                     _SD3 | {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)}, "flow",
                     _EMBEDS | _POOLED),
    "flux-dev": ("FluxPipeline", "FluxTransformer2DModel", _FLUX, "flow", _EMBEDS | _POOLED),
    "flux-schnell": ("FluxPipeline", "FluxTransformer2DModel", _FLUX | {"guidance_embeds": False},
                     "flow", _EMBEDS | _POOLED),
    "flux2-dev": ("Flux2Pipeline", "Flux2Transformer2DModel", _FLUX2, "flow", _EMBEDS),
    "flux2-klein": ("Flux2KleinPipeline", "Flux2Transformer2DModel",
                    _FLUX2 | {"guidance_embeds": False}, "flow", _EMBEDS),
    "qwen-image": ("QwenImagePipeline", "QwenImageTransformer2DModel", _QWEN_IMAGE, "flow",
                   _EMBEDS),
    "z-image": ("ZImagePipeline", "ZImageTransformer2DModel", _Z_IMAGE, "flow", _EMBEDS),
    "lumina2": ("Lumina2Pipeline", "Lumina2Transformer2DModel", _LUMINA2, "flow", _EMBEDS),
    "auraflow": ("AuraFlowPipeline", "AuraFlowTransformer2DModel", _AURA_FLOW, "flow", _EMBEDS),
    "chroma": ("ChromaPipeline", "ChromaTransformer2DModel", _CHROMA, "flow", _EMBEDS),
    "cogview4": ("CogView4Pipeline", "CogView4Transformer2DModel", _COGVIEW4, "flow", _EMBEDS),
    "hunyuan-dit": ("HunyuanDiTPipeline", "HunyuanDiT2DModel", _HUNYUAN_DIT, "v_prediction",
                    {"prompt_embeds": (1, 77, 16), "prompt_attention_mask": (1, 77),
                     "prompt_embeds_2": (1, 256, 24), "prompt_attention_mask_2": (1, 256)}),
}  # fmt: skip


def tiny_plain_vae():
    """One without a shift, which some pipelines know nothing of."""
    return tiny_vae(shift=None)


# Of the pipelines that want another autoencoder than `tiny_vae`.
VAES = {
    "Flux2Pipeline": tiny_flux2_vae,
    "Flux2KleinPipeline": tiny_flux2_vae,
    "QwenImagePipeline": tiny_qwen_vae,
    "AuraFlowPipeline": tiny_plain_vae,
    "CogView4Pipeline": tiny_plain_vae,
    "HunyuanDiTPipeline": tiny_plain_vae,
}


@pytest.fixture
def tiny_model(tmp_path):
    """A function that writes the folder of a random pipeline, by a name of `TINY`."""

    def write(kind: str, *, null: bool = True, folder: str = "", **given) -> Path:
        """Given: components of the pipeline, and what else stands in the denoiser's config."""
        torch.manual_seed(0)
        pipeline_class, denoiser_class, config, prediction, shapes = TINY[kind]
        pipeline = getattr(diffusers, pipeline_class)
        parts = dict.fromkeys(inspect.signature(pipeline.__init__).parameters)
        components = {name: part for name, part in given.items() if name in parts}
        others = {name: value for name, value in given.items() if name not in parts}
        denoiser = getattr(diffusers, denoiser_class)(**config | others)
        with torch.no_grad():  # as after training, no norm is the identity and no bias zero
            for parameter in denoiser.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
        scheduler = (
            diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
            if prediction == "flow"
            else diffusers.DDIMScheduler(
                prediction_type=prediction, steps_offset=1, clip_sample=False
            )
        )
        made = {"vae": VAES.get(pipeline_class, tiny_vae)(), "scheduler": scheduler,
                "requires_safety_checker": False, "force_zeros_for_empty_prompt": True,
                "is_distilled": True,
                "unet" if "UNet" in denoiser_class else "transformer": denoiser}  # fmt: skip
        parts |= {name: part for name, part in (made | components).items() if name in parts}
        place = tmp_path / (folder or kind)
        pipeline(**{name: part for name, part in parts.items() if name != "self"}).save_pretrained(
            place
        )
        if null:
            tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
            for name in tensors:
                if "mask" in name:  # the first token is the only real one
                    tensors[name] = (torch.arange(shapes[name][1]) == 0).long()[None]
            save_file(tensors, place / "null_condition.safetensors")
        return place

    return write


@pytest.fixture
def tiny_pixart(tmp_path):
    """A function that writes the folder of a random PixArt pipeline without text encoder.

    Two layers, four heads, patches of 2 x 2 latents, a learnt variance; its VAE has a shift. The
    null condition has six tokens of which the first is real.
    """

    def write(
        name: str = "tiny", *, null: bool = True, scheduler=None, text=None, **transformer
    ) -> Path:
        torch.manual_seed(0)
        denoiser, vae = diffusers.PixArtTransformer2DModel(**_PIXART | transformer), tiny_vae()
        scheduler = scheduler or diffusers.DPMSolverMultistepScheduler(beta_schedule="linear")
        tokenizer, text_encoder = text or (None, None)
        folder = tmp_path / name
        pipeline = diffusers.PixArtAlphaPipeline(tokenizer, text_encoder, vae, denoiser, scheduler)
        pipeline.save_pretrained(folder)
        if null:
            mask = torch.tensor([[1, 0, 0, 0, 0, 0]])
            tensors = {"prompt_embeds": torch.randn(1, 6, 16), "prompt_attention_mask": mask}
            save_file(tensors, folder / "null_condition.safetensors")
        return folder

    return write
