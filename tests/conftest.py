"""What every test stands on: one thread, shapes checked at run time, and models small enough."""

from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook
from safetensors.torch import save_file

# Shapes and types are checked while the tests run, in every room that takes tensors or arrays from
# another room. Not in those that take them from the user (images, metrics, results): there the
# tests are after the messages for wrong input, which the checker would hide behind its own.
ROOMS = (
    "attention",
    "backbones",
    "detector.decoder",
    "detector.losses",
    "detector.student",
    "divergence",
    "emergence",
    "explain",
    "pipeline",
    "schedules",
    "surface",
    "trajectory",
    "views",
    "visualize",
    "walk",
)
install_import_hook([f"trace_edges.{room}" for room in ROOMS], "beartype.beartype")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tiny forwards take milliseconds with one thread and seconds with two on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """The cache of null conditions of this test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRACE_EDGES_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def trace_mini():
    """The embedded backbone, loaded once; no test may change it."""
    from trace_edges.backbones import load_backbone

    return load_backbone()


def tiny_vae():
    """A random autoencoder of 8 px to a latent cell and four channels, with a shift."""
    import diffusers

    return diffusers.AutoencoderKL(
        latent_channels=4, block_out_channels=(16,) * 4, norm_num_groups=8, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.5, shift_factor=0.25,
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
    "sd3": ("StableDiffusion3Pipeline", "SD3Transformer2DModel", _SD3, "flow", _EMBEDS | _POOLED),
    "sd3.5-large": ("StableDiffusion3Pipeline", "SD3Transformer2DModel",
                    _SD3 | {"qk_norm": "rms_norm"}, "flow", _EMBEDS | _POOLED),
    "sd3.5-medium": ("StableDiffusion3Pipeline", "SD3Transformer2DModel",
                     _SD3 | {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)}, "flow",
                     _EMBEDS | _POOLED),
    "flux-dev": ("FluxPipeline", "FluxTransformer2DModel", _FLUX, "flow", _EMBEDS | _POOLED),
    "flux-schnell": ("FluxPipeline", "FluxTransformer2DModel", _FLUX | {"guidance_embeds": False},
                     "flow", _EMBEDS | _POOLED),
}  # fmt: skip


@pytest.fixture
def tiny_model(tmp_path):
    """A function that writes the folder of a random pipeline, by a name of `TINY`."""
    import inspect

    import diffusers

    def write(kind: str, *, null: bool = True, folder: str = "", **components) -> Path:
        torch.manual_seed(0)
        pipeline_class, denoiser_class, config, prediction, shapes = TINY[kind]
        pipeline = getattr(diffusers, pipeline_class)
        denoiser = getattr(diffusers, denoiser_class)(**config)
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
        parts = dict.fromkeys(inspect.signature(pipeline.__init__).parameters)
        made = {"vae": tiny_vae(), "scheduler": scheduler, "requires_safety_checker": False,
                "force_zeros_for_empty_prompt": True,
                "unet" if "UNet" in denoiser_class else "transformer": denoiser}  # fmt: skip
        parts |= {name: part for name, part in (made | components).items() if name in parts}
        place = tmp_path / (folder or kind)
        pipeline(**{name: part for name, part in parts.items() if name != "self"}).save_pretrained(
            place
        )
        if null:
            tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
            if "prompt_attention_mask" in tensors:  # the first token is the only real one
                tensors["prompt_attention_mask"] = torch.tensor([[1, 0, 0, 0, 0, 0]])
            save_file(tensors, place / "null_condition.safetensors")
        return place

    return write


@pytest.fixture
def tiny_pixart(tmp_path):
    """A function that writes the folder of a random PixArt pipeline without text encoder.

    Two layers, four heads, patches of 2 x 2 latents, a learnt variance; its VAE has a shift. The
    null condition has six tokens of which the first is real.
    """
    import diffusers

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


def _clip(width: int, projection: int | None = None):
    """A random CLIP text encoder of two layers, and a tokenizer of letters and of "cats"."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    letters = [letter + end for letter in "abcdefghijklmnopqrstuvwxyz,'" for end in ("", "</w>")]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, "ca", "ts</w>", "cats</w>"]
    tokenizer = CLIPTokenizer(
        vocab={piece: place for place, piece in enumerate(pieces)},
        merges=[("c", "a"), ("t", "s</w>"), ("ca", "ts</w>")], model_max_length=77,
    )  # fmt: skip
    config = CLIPTextConfig(
        vocab_size=len(pieces), hidden_size=width, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=projection or 8, bos_token_id=0, eos_token_id=1,
        pad_token_id=1,
    )  # fmt: skip
    model = CLIPTextModelWithProjection if projection else CLIPTextModel
    return model(config).eval(), tokenizer


def _t5(width: int):
    """A random T5 encoder of one layer, and a tokenizer of letters and of "cat"."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz,'", "▁cat", "▁two"]
    tokenizer = T5Tokenizer(vocab=[(p, -float(i)) for i, p in enumerate(pieces)], extra_ids=0)
    config = T5Config(
        vocab_size=len(pieces), d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return T5EncoderModel(config).eval(), tokenizer


@pytest.fixture
def tiny_texts():
    """A function that makes the random text encoders and tokenizers of a `tiny_model`."""

    def make(kind: str) -> dict:
        torch.manual_seed(1)
        pairs = {
            "sd15": lambda: [_clip(24)],
            "sdxl": lambda: [_clip(4), _clip(20, projection=20)],
            "pixart": lambda: [_t5(16)],
            "sd3": lambda: [_clip(4, projection=4), _clip(16, projection=16), _t5(24)],
            "flux-dev": lambda: [_clip(20), _t5(24)],
        }
        pairs["sd3.5-medium"], pairs["flux-schnell"] = pairs["sd3"], pairs["flux-dev"]
        parts = {}
        for number, (model, tokenizer) in enumerate(pairs[kind](), 1):
            end = "" if number == 1 else f"_{number}"
            parts |= {f"text_encoder{end}": model, f"tokenizer{end}": tokenizer}
        return parts

    return make
