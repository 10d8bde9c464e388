"""What a number type is too small for, or damaged weights give, is named by its stage."""

import pytest
import torch

from trace_edges.attention import RecorderError
from trace_edges.backbones import load_backbone
from trace_edges.detector import EdgeDetector
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student
from trace_edges.training_free.pipeline import TraceEdgePipeline

from .refusals import message_of


def test_a_latent_that_is_not_finite_is_named_by_its_stage(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd15"))
    with torch.no_grad():
        pipe.backbone.vae.encoder.conv_out.bias.fill_(float("inf"))
    message = message_of(pipe, torch.zeros(3, 64, 64), resolution=64)
    assert "the latent of its VAE is not finite in float32: try --dtype" in message


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("part", "stage"),
    [
        ("vae.encoder.conv_out", "the latent of its VAE"),
        ("denoiser.conv_in", "what the denoiser computes at t = 0"),
        ("leave", "what the detector's decoder computes"),
    ],
)
def test_what_is_not_finite_in_a_detector_is_named_by_its_stage(tiny_model, part, stage, dtype):
    student = Student(load_backbone(tiny_model("sd15"), dtype=dtype), StudentSettings(width=16))
    home, _, name = part.rpartition(".")
    whole = getattr(student.backbone, home.partition(".")[0]) if home else student.decoder
    with torch.no_grad():
        whole.get_submodule(part.partition(".")[2] or name).bias.fill_(float("nan"))
    message = message_of(EdgeDetector(student, 64), torch.zeros(3, 64, 64))
    assert f"{stage} is not finite in {str(dtype).removeprefix('torch.')}" in message


def test_an_output_that_is_not_finite_is_named_where_nothing_is_captured(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd15"))
    with torch.no_grad():
        pipe.backbone.denoiser.conv_out.bias.fill_(float("inf"))
    message = message_of(pipe, torch.zeros(3, 64, 64), resolution=64, timestep=199)
    assert "the latent before t = 199 is not finite in float32: try --dtype" in message


def test_attention_that_is_not_finite_is_named(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd15"))
    with torch.no_grad():
        pipe.backbone.denoiser.conv_in.bias.fill_(float("nan"))
    with pytest.raises(RecorderError, match="the model's attention holds NaN or infinity"):
        pipe(torch.zeros(3, 64, 64), resolution=64)


def test_a_null_condition_that_is_not_finite_is_not_kept(tiny_model, tiny_texts, own_cache):
    parts = tiny_texts("sd15")
    with torch.no_grad():
        encoder = parts["text_encoder"]  # once around the model itself
        getattr(encoder, "text_model", encoder).final_layer_norm.bias.fill_(float("nan"))
    message = message_of(load_backbone, tiny_model("sd15", null=False, **parts))
    assert "null condition" in message
    assert "is not finite in float32 (prompt_embeds): try --dtype" in message
    assert not list(own_cache.rglob("*.safetensors"))
