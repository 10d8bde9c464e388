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


@pytest.fixture(scope="session")
def trace_mini():
    """The embedded backbone, loaded once; no test may change it."""
    from trace_edges.backbones import load_backbone

    return load_backbone()


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
        config = {"sample_size": 32, "patch_size": 2, "in_channels": 4, "out_channels": 8,
                  "num_layers": 2, "attention_head_dim": 12, "num_attention_heads": 4,
                  "cross_attention_dim": 48, "caption_channels": 16, "interpolation_scale": 2,
                  "use_additional_conditions": False}  # fmt: skip
        denoiser = diffusers.PixArtTransformer2DModel(**config | transformer)
        vae = diffusers.AutoencoderKL(
            latent_channels=4, block_out_channels=(16,) * 4, norm_num_groups=8, layers_per_block=1,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            scaling_factor=0.5, shift_factor=0.25,
        )  # fmt: skip
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
