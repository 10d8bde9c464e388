"""A student of every family: LoRA on the self-attention alone, reached by both losses."""

import re

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.detector.detector import EdgeDetector
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student

# By family: what LoRA may sit on, and how many linear layers that is.
TARGETS = {
    "sd15": (r".*\.attn1\.(to_q|to_k|to_v|to_out\.0)", 4 * 10),
    "sdxl": (r".*\.attn1\.(to_q|to_k|to_v|to_out\.0)", 4 * 11),
    "pixart": (r"transformer_blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)", 4 * 2),
    "pixart-sigma": (r"transformer_blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)", 4 * 2),
    "sd3.5-large": (r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)", 4 * 3),
    "sd3.5-medium": (r"transformer_blocks\.\d+\.attn2?\.(to_q|to_k|to_v|to_out\.0)", 4 * 5),
    # Single blocks have no output projection of their own.
    "flux-dev": (r"(single_)?transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)", 14),
    # And there the others are one, with the way into the MLP.
    "flux2-dev": (
        r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)|"
        r"single_transformer_blocks\.\d+\.attn\.to_qkv_mlp_proj",
        4 * 2 + 2,
    ),
    "qwen-image": (r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)", 4 * 3),
    # Not on the refiner of the text.
    "z-image": (r"(noise_refiner|layers)\.\d+\.attention\.(to_q|to_k|to_v|to_out\.0)", 4 * 3),
    "lumina2": (r"(noise_refiner|layers)\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)", 4 * 3),
    "auraflow": (
        r"(joint|single)_transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)",
        4 * 3,
    ),
    "chroma": (r"(single_)?transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)", 14),
    "cogview4": (r"transformer_blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)", 4 * 2),
    "hunyuan-dit": (r"blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)", 4 * 4),
}
IMAGES = torch.linspace(-1, 1, 3 * 64 * 96).reshape(1, 3, 64, 96)


@pytest.fixture(params=TARGETS)
def family(request):
    return request.param


@pytest.fixture
def backbone(tiny_model, family):
    return load_backbone(tiny_model(family))


def make(backbone, rank=0):
    torch.manual_seed(0)
    return Student(backbone, StudentSettings(blocks=(0, 1, -1), width=16, rank=rank))


def test_features_lie_on_the_attention_grid(backbone):
    student = make(backbone)
    features, output = student.features(IMAGES)
    cell = backbone.cell
    assert features.shape[-2:] == (64 // cell, 96 // cell)
    assert features.shape[1] == student.decoder.settings["channels"]
    assert output.shape == (1, 4, 8, 12)
    logits, _ = student(IMAGES)
    assert logits.shape == (1, 64, 96)


def test_hidden_states_are_of_the_image_where_it_is(backbone):
    """Of each block and place: the tokens are those that carry the image, row-major."""
    latents = backbone.encode(IMAGES)
    states, _ = backbone.hidden_states(latents, 0, backbone.blocks[:1])
    changed = latents.clone()
    changed[..., :4, :6] += 1  # the upper left quarter
    other, _ = backbone.hidden_states(changed, 0, backbone.blocks[:1])
    change = (states[0] - other[0]).abs().mean(dim=(0, 1))  # (h, w)
    assert change.argmax() in [
        row * change.shape[1] + column
        for row in range(change.shape[0] // 2)
        for column in range(change.shape[1] // 2)
    ]


def test_lora_is_on_the_self_attention_and_changes_nothing_yet(backbone, family):
    pytest.importorskip("peft")
    before = make(backbone).features(IMAGES)[1]
    student = make(backbone, rank=2)
    names = {n.split(".lora_")[0] for n, _ in student.trained() if not n.startswith("decoder")}
    pattern, count = TARGETS[family]
    assert all(re.fullmatch(rf"denoiser\.({pattern})", name) for name in names)
    assert len(names) == count
    assert torch.equal(student.features(IMAGES)[1], before)


@pytest.mark.parametrize("loss", ["edges", "reconstruction"])
def test_each_part_of_the_loss_reaches_the_lora(backbone, loss, family):
    pytest.importorskip("peft")
    student = make(backbone, rank=2)
    logits, output = student(IMAGES)
    if loss == "edges":
        logits.square().sum().backward()
    else:
        (student.reconstruct(output) - IMAGES).square().mean().backward()
    # B is zero at first, so that A has no gradient yet.
    gradients = {n: p.grad for n, p in student.trained() if "lora_B" in n}
    assert len(gradients) == TARGETS[family][1]
    unreached = {name for name, grad in gradients.items() if grad is None or not grad.any()}
    assert not unreached


def test_a_vae_that_overflows_in_float16_keeps_float32(tiny_model, tmp_path):
    """That of SDXL, beside a denoiser in half precision."""
    backbone = load_backbone(tiny_model("sdxl"))
    EdgeDetector(make(backbone), 64).save_pretrained(tmp_path / "detector")
    for dtype, expected in ((torch.float16, torch.float32), (torch.bfloat16, torch.bfloat16)):
        loaded = EdgeDetector.from_pretrained(tmp_path / "detector", dtype=dtype).student.backbone
        assert (loaded.dtype, next(loaded.vae.parameters()).dtype) == (dtype, expected)
