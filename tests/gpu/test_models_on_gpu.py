"""Tiny random models of every family on the card: recorded, offloaded, in few bits, compiled."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.tiny_models import TINY
from trace_edges.backbones import load_backbone
from trace_edges.cli import app
from trace_edges.images import to_tensor
from trace_edges.training_free.pipeline import TraceEdgePipeline

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
TIMESTEP = 300
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", TINY)
def test_recording_leaves_every_bit_and_rows_sum_to_one(gpu, tiny_model, kind, dtype):
    backbone = load_backbone(tiny_model(kind), device=gpu, dtype=dtype)
    with torch.inference_mode():
        latents = backbone.encode(to_tensor(PICTURE)[None])
        plain = backbone.predict(latents, TIMESTEP)
        recorded, attention, _ = backbone.attend(latents, TIMESTEP)
    assert attention.device == plain.device == gpu
    assert torch.equal(recorded, plain)
    assert (attention.sum(-1) - 1).abs().max() < 1e-3


@pytest.mark.parametrize("kind", TINY)
def test_the_maps_are_those_of_the_cpu(gpu, tiny_model, kind):
    folder, maps = tiny_model(kind), []
    for device in ("cpu", gpu):
        backbone = load_backbone(folder, device=device)
        with torch.inference_mode():
            latents = backbone.encode(to_tensor(PICTURE)[None])
            maps.append(backbone.attend(latents, TIMESTEP)[1].cpu())
    assert (maps[0] - maps[1]).abs().max() < 5e-3  # convolutions are in TF32 there


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sdxl", "sd3.5-large", "flux-dev"])
def test_offloading_gives_the_same_edges_and_leaves_the_card(gpu, tiny_model, kind, dtype):
    folder = tiny_model(kind)
    plain = TraceEdgePipeline.from_pretrained(folder, device=gpu, dtype=dtype)(PICTURE)
    pipe = TraceEdgePipeline.from_pretrained(folder, dtype=dtype).enable_model_cpu_offload(gpu)
    offloaded = pipe(PICTURE)
    assert np.array_equal(offloaded.edges, plain.edges)
    assert next(pipe.backbone.vae.parameters()).device.type == "cpu"


@pytest.mark.parametrize("bits", ["bnb-4bit", "bnb-8bit"])
@pytest.mark.parametrize("kind", ["sd15", "pixart", "sd3.5-large", "flux-dev"])
def test_few_bits_give_edges_like_those_of_all(gpu, tiny_model, kind, bits):
    pytest.importorskip("bitsandbytes", reason='pip install "trace-edges[quantize]"')
    folder = tiny_model(kind)
    plain = TraceEdgePipeline.from_pretrained(folder, device=gpu)(PICTURE, timestep=TIMESTEP - 1)
    few = TraceEdgePipeline.from_pretrained(folder, device=gpu, quantize=bits)
    found = few(PICTURE, timestep=TIMESTEP - 1)
    assert np.corrcoef(found.edges.ravel(), plain.edges.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("options", [[], ["--mixed-precision", "bf16"]])
def test_a_student_is_trained_on_the_card(gpu, tmp_path, options):
    from PIL import Image

    photographs = tmp_path / "photographs"
    photographs.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photographs / f"{number}.png")
    command = ["distill", photographs, "--out", tmp_path / "run", "--config", "toy", "--steps", 2,
               "--hold-out", 3, "--device", gpu, *options]  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "detector.safetensors").exists()


# Last, since compiling takes the longest.
COMPILED = """
import sys, numpy as np, torch
from trace_edges.training_free.pipeline import TraceEdgePipeline
pipe = TraceEdgePipeline.from_pretrained(sys.argv[1], device=sys.argv[2])
picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
before = pipe(picture)
pipe.backbone.denoiser.compile()
after = pipe(picture)
assert np.allclose(after.emergence.curve, before.emergence.curve, rtol=0.02, atol=1e-3)
assert abs(after.edges - before.edges).max() < 0.02, abs(after.edges - before.edges).max()
"""


@pytest.mark.parametrize("kind", ["sd15", "sdxl", "pixart", "sd3.5-large", "flux-dev"])
def test_a_compiled_denoiser_gives_the_same_edges(gpu, tiny_model, kind):
    # In a process of its own: what checks shapes in these tests cannot be compiled.
    command = [sys.executable, "-c", COMPILED, str(tiny_model(kind)), str(gpu)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
