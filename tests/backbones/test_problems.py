"""Whatever keeps a backbone away ends in one line that says what to do."""

import os
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from trace_edges.attention import RecorderError
from trace_edges.backbones import (
    CHECKPOINTS,
    EMBEDDED,
    ENCODERS,
    BackboneError,
    load_backbone,
    load_encoder,
)
from trace_edges.backbones.problems import did_you_mean
from trace_edges.detector import EdgeDetector
from trace_edges.instances.sam import SamError, load_sam
from trace_edges.training_free.pipeline import TraceEdgePipeline

from .refusals import fails_with, message_of

ANSWER = MagicMock()  # of the hub; the errors keep it, and nothing looks into it
MEANINGS = [
    (GatedRepoError("Access is restricted.\nLog in.", response=ANSWER), "accept its licence"),
    (RepositoryNotFoundError("404", response=ANSWER), "check the spelling"),
    (RevisionNotFoundError("404", response=ANSWER), "no such revision"),
    (LocalEntryNotFoundError("not cached"), "the hub was not reached: connect"),
    (OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE"),
    (ConnectionError("no route"), "the hub was not reached: connect"),
]


@pytest.mark.parametrize(("error", "meaning"), MEANINGS)
def test_errors_of_the_hub_say_what_to_do(monkeypatch, error, meaning):
    monkeypatch.setattr("trace_edges.backbones.sources.hf_hub_download", fails_with(error))
    message = message_of(load_backbone, "sd3.5-large", revision="v9")
    assert message.startswith(
        "backbone 'sd3.5-large' (stabilityai/stable-diffusion-3.5-large), revision 'v9' could not "
        "be loaded: "
    )
    assert meaning in message


def test_errors_that_diffusers_wraps_are_seen_through(tiny_model, monkeypatch):
    """The index may be open and the weights gated."""

    def wrapped(*_, **__):
        try:
            raise GatedRepoError("Access is restricted.", response=ANSWER)
        except GatedRepoError:
            raise OSError("something\nof many lines")  # noqa: B904 - as diffusers does

    monkeypatch.setattr(AutoencoderKL, "from_pretrained", wrapped)
    assert "accept its licence" in message_of(load_backbone, tiny_model("sd15"))


@pytest.mark.long  # huggingface_hub tries again, and waits in between
def test_a_hub_that_does_not_answer(monkeypatch, tmp_path):
    """Nothing listens there: the real way through huggingface_hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    assert "was not reached: connect" in message_of(load_backbone, "nobody/nothing")


def test_sana_says_why_it_cannot_be(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "SanaPipeline"}', encoding="utf-8")
    message = message_of(load_backbone, tmp_path)
    assert "its self-attention is linear" in message


def test_a_pickle_is_not_read(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"weights")
    assert "are pickles (.ckpt), which may run any program" in message_of(
        load_backbone, tmp_path / "model.ckpt"
    )


@pytest.mark.parametrize(
    "load", [load_backbone, load_encoder, load_sam, EdgeDetector.from_pretrained]
)
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_what_lies_here_is_not_asked_of_the_hub(tmp_path, monkeypatch, load, kind):
    """Though its path has the form of a hub id."""
    monkeypatch.setattr("requests.sessions.Session.request", pytest.fail)
    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", pytest.fail)
    monkeypatch.chdir(tmp_path)
    Path("owner").mkdir()
    os.mkfifo("owner/it") if kind == "pipe" else Path("owner/it").write_bytes(b"PK")
    with pytest.raises((BackboneError, SamError, ValueError), match="owner/it") as refused:
        load("owner/it", local_files_only=True)
    assert "hub was not reached" not in str(refused.value)
    assert "local cache" not in str(refused.value)


def test_an_unknown_model_names_the_families(tmp_path):
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "CogVideoXPipeline"}', encoding="utf-8"
    )
    message = message_of(load_backbone, tmp_path)
    for known in ("StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline"):
        assert known in message


def test_an_index_that_is_no_json_is_named(tmp_path):
    (tmp_path / "model_index.json").write_text("{", encoding="utf-8")
    assert "model_index.json is not valid JSON" in message_of(load_backbone, tmp_path)


def test_a_scheduler_of_the_other_kind_is_named(tiny_model):
    import diffusers

    folder = tiny_model("sd3")
    diffusers.DDIMScheduler().save_pretrained(folder / "scheduler")
    index = folder / "model_index.json"
    index.write_text(
        index.read_text(encoding="utf-8").replace(
            "FlowMatchEulerDiscreteScheduler", "DDIMScheduler"
        ),
        encoding="utf-8",
    )
    assert "needs one for flow matching" in message_of(load_backbone, folder)


def test_a_library_that_a_text_encoder_wants_is_named(tiny_model, monkeypatch):
    def fake_from_pretrained(*_, **__):
        raise ImportError("\nA processor requires Torchvision\nbut it was not found")

    monkeypatch.setattr("diffusers.AutoencoderKLFlux2.from_pretrained", fake_from_pretrained)
    message = message_of(load_backbone, tiny_model("flux2-dev"))
    assert "could not be loaded: A processor requires Torchvision but it was not found" in message


def test_cells_that_auraflow_has_no_positions_for_are_refused(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("auraflow"))  # 8 x 8 positions
    image = np.zeros((64, 160, 3), np.uint8)
    with pytest.raises(BackboneError, match=r"for 8 cells along a side, not for 10: .* of 80%"):
        pipe(image, resolution=101)
    assert pipe(image, resolution=80, stride=500).edges.shape == (1, 64, 160)


def test_weights_that_are_pickled_are_not_read(tiny_model):
    folder = tiny_model("sd15")
    (weights,) = (folder / "unet").glob("*.safetensors")
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")
    weights.unlink()
    message = message_of(load_backbone, folder)
    assert "its unet has only weights that are pickles (diffusion_pytorch_model.bin)" in message
    assert "convert them" in message


def test_attention_slicing_is_not_read_past(tiny_model):
    backbone = load_backbone(tiny_model("sd15"))
    backbone.denoiser.set_attention_slice(1)
    with pytest.raises(RecorderError, match=r"10 of 10 .* switch off attention slicing") as caught:
        backbone.attend(torch.zeros(1, 4, 8, 8), 300)
    assert "\n" not in str(caught.value)


def test_one_layer_that_passes_by_is_not_read_past(tiny_model):
    """Less than all layers would be as wrong as none."""
    backbone = load_backbone(tiny_model("sd15"))
    backbone.denoiser.mid_block.attentions[0].transformer_blocks[0].attn1.set_processor(
        AttnProcessor()  # writes the softmax out
    )
    with pytest.raises(RecorderError, match=r"1 of 10 .*mid_block"):
        backbone.attend(torch.zeros(1, 4, 8, 8), 300)


@pytest.mark.long  # flex_attention takes long to import
def test_a_backend_that_passes_by_is_not_read_past(tiny_model):
    backbone = load_backbone(tiny_model("flux-dev"))
    backbone.denoiser.transformer_blocks[1].attn.processor._attention_backend = "flex"
    with pytest.raises(RecorderError, match=r"1 of 4 .*transformer_blocks\.1\.attn"):
        backbone.attend(torch.zeros(1, 4, 8, 8), 300)


@pytest.mark.parametrize(("written", "meant"), [
    ("sd35", "sd3.5-medium or sd3.5-large"),
    ("SD35-large", "sd3.5-large"),
    ("sd35-lrge", "sd3.5-large"),
    ("stable-diffusion-3.5-large", "sd3.5-large"),
    ("sd3", "sd3-medium or sd3.5-medium or sd3.5-large"),
    ("sd-1.5", "sd15"),
    ("stable-diffusion-v1-5", "sd15"),
    ("sd14", "sd15"),
    ("sd2.1", "sd21"),
    ("stable-diffusion-xl", "sdxl"),
    ("sdxl-base", "sdxl"),
    ("FLUX.1-dev", "flux-dev"),
    ("flux-1-schnell", "flux-schnell"),
    ("flux-shnell", "flux-schnell"),
    ("flux-2-dev", "flux2-dev"),
    ("flux2", "flux2-dev or flux2-klein-4b or flux2-klein-9b"),
    ("pixart", "pixart-alpha-512 or pixart-alpha or pixart-sigma"),
    ("pixart-alfa", "pixart-alpha"),
    ("z-image-turob", "z-image-turbo"),
    ("lumina", "lumina2"),
    ("hunyuandit", "hunyuan-dit-1.2"),
    ("cogview3", "cogview4"),
    ("tracemini", "trace-mini"),
    ("dino-v2-base", "dinov2-base or dinov2-base-registers"),
    ("dinov3-vitl16", "dinov3-small or dinov3-large or dinov3-7b"),
    ("siglip2-base", "siglip-base"),
    ("llava", "llava-1.5-7b"),
])  # fmt: skip
def test_a_mistyped_name_is_answered_with_what_was_meant(written, meant):
    names = (EMBEDDED, *CHECKPOINTS, *ENCODERS)
    assert did_you_mean(written, names) == f"; did you mean {meant}?"


@pytest.mark.parametrize("written", ["", "x", "kandinsky", "resnet50", "wan"])
def test_a_name_like_none_is_answered_with_nothing(written):
    assert did_you_mean(written, (EMBEDDED, *CHECKPOINTS, *ENCODERS)) == ""
