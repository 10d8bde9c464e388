"""The two configs: smoke beats random weights, killed on its way; gpu goes through its stages."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trace_edges.training import CHECKPOINT
from trace_edges.training.curves import LINES
from trace_edges.training_free.pipeline import TraceEdgePipeline

SHORT = ("--autoencoder-steps", "60", "--steps", "60", "--scenes", "12", "--check-scenes", "3")
WEIGHTS = "diffusion_pytorch_model.safetensors"
FILES = (
    f"vae/{WEIGHTS}", f"transformer/{WEIGHTS}", "vae/config.json",
    *(f"training/{stage}/{name}" for stage in ("autoencoder", "denoiser")
      for name in (CHECKPOINT, LINES)),
)  # fmt: skip


def start(out, *options):
    command = [sys.executable, "-m", "recipes.trace_mini", "pretrain", "--out", str(out), *options]
    return subprocess.Popen(
        [*command, "--device", "cpu", "--quiet"], stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def finish(process):
    assert process.wait() == 0, process.stderr.read()


def kill_after(process, seconds):
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def steps_of(out):
    """Steps of both stages that are in the curves."""
    found = (out / "training" / stage / LINES for stage in ("autoencoder", "denoiser"))
    return sum(
        len(path.read_text(encoding="utf-8").splitlines()) for path in found if path.exists()
    )


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_smoke_config_beats_random_weights_and_chance_though_it_is_killed(tmp_path):
    out = tmp_path / "smoke"
    process = start(out)
    checkpoint = out / "training" / "denoiser" / CHECKPOINT
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.2)
    kill_after(process, 0)
    assert 200 < steps_of(out) < 500, "the kill fell into the denoiser's stage"
    finish(start(out))
    measured = json.loads((out / "training" / "measured.json").read_text(encoding="utf-8"))
    best = max(measured["F"].values())
    assert best > max(measured["random"].values()) + 0.02
    assert best > max(measured["chance"].values()) + 0.05
    pipe = TraceEdgePipeline.from_pretrained(out)
    assert pipe(Path(__file__).parents[2] / "examples" / "twins.png").edges.max() > 0.1


@pytest.mark.long
@pytest.mark.timeout(600)
def test_kills_change_no_byte(tmp_path):
    finish(start(tmp_path / "a", *SHORT))
    rng, out, reached = random.Random(0), tmp_path / "b", set()
    for _ in range(2):
        before, process = steps_of(out), start(out, *SHORT)
        while process.poll() is None and steps_of(out) == before:  # up to the next checkpoint
            time.sleep(0.02)
        kill_after(process, rng.uniform(0, 2))
        reached.add(steps_of(out))
    assert reached - {0, 120}, "no kill fell between two checkpoints"
    finish(start(tmp_path / "b", *SHORT))
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_gpu_config_goes_through_its_stages_on_a_cpu(tmp_path):
    options = ("--config", "gpu", "--batch-size", "2", "--steps", "2", "--autoencoder-steps", "2")
    finish(start(tmp_path / "gpu", *options, "--scenes", "4", "--check-scenes", "2"))
    measured = json.loads(
        (tmp_path / "gpu" / "training" / "measured.json").read_text(encoding="utf-8")
    )
    assert measured["parameters"]["denoiser"] == pytest.approx(15.4e6, rel=0.01)
    assert measured["parameters"]["autoencoder"] == pytest.approx(2.46e6, rel=0.01)
    assert TraceEdgePipeline.from_pretrained(tmp_path / "gpu").backbone.cell == 8
    size = sum(path.stat().st_size for path in (tmp_path / "gpu").glob("*/*.safetensors"))
    assert size < 40e6
