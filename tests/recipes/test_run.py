"""A run ends with a folder that TRACE opens; stopping it changes nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from recipes.trace_mini import Provenance, pretrain, write_card
from recipes.trace_mini.__main__ import app
from recipes.trace_mini.autoencoder import build_autoencoder, measure_latents
from recipes.trace_mini.card import carbon
from recipes.trace_mini.images import Batches, Composites
from recipes.trace_mini.validation import Validator
from trace_edges.files import FileError
from trace_edges.training import CHECKPOINT
from trace_edges.training.curves import LINES
from trace_edges.training_free.pipeline import TraceEdgePipeline

FILES = (
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    "transformer/diffusion_pytorch_model.safetensors", "trace_edges.json",
    *(f"training/{stage}/{name}" for stage in ("autoencoder", "denoiser")
      for name in (CHECKPOINT, LINES)),
)  # fmt: skip


class StoppedError(Exception):
    pass


@pytest.fixture
def run(settings, sprites, tmp_path):
    """A function that pretrains into a folder, and may be stopped at a step of a stage."""

    def start(folder, stop=None, photographs=(), **changes):
        def on_step(stage, line):
            if (stage, line["step"]) == stop:
                raise StoppedError

        return pretrain(
            tmp_path / folder, replace(settings, **changes), *sprites, photographs,
            accelerator=Accelerator(cpu=True), on_step=on_step,
        )  # fmt: skip

    return start


def test_the_folder_opens_and_finds_edges(run, tmp_path):
    measured = run("a")
    assert (
        json.loads((tmp_path / "a/training/measured.json").read_text(encoding="utf-8")) == measured
    )
    assert len(measured["F"]) == len(measured["random"]) == len(measured["chance"]) == 11
    assert len(measured["KL"]) == 10
    lines = (tmp_path / "a/training/denoiser" / LINES).read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    assert {f"F_{t}" for t in measured["F"]} < last.keys()
    assert last["F_99"] == measured["F"]["99"]
    pipe = TraceEdgePipeline.from_pretrained(tmp_path / "a")
    out = pipe(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    assert out.edges.shape == (1, 40, 50)
    assert out.settings["resolution"] == 32
    with Image.open(tmp_path / "a/training/sheet.png") as sheet:
        assert min(sheet.size) > 100


@pytest.mark.long
def test_a_run_that_was_stopped_ends_with_the_same_bytes(run, tmp_path):
    run("a")
    for stop in (("autoencoder", 1), ("autoencoder", 3), ("denoiser", 2), ("denoiser", 4)):
        with pytest.raises(StoppedError):
            run("b", stop)
    run("b")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_folder_with_another_run_is_refused(run, tmp_path):
    run("a")
    before = (tmp_path / "a/training/denoiser" / CHECKPOINT).read_bytes()
    with pytest.raises(FileError, match=r"min_snr 5\.0, not 1\.0"):
        run("a", min_snr=1.0)
    assert (tmp_path / "a/training/denoiser" / CHECKPOINT).read_bytes() == before
    assert len(list((tmp_path / "a/training").glob("composites-*.raw"))) == 1


def test_the_latents_are_measured_so_that_they_are_standard(settings, sprites):
    vae = build_autoencoder(settings).requires_grad_(False)
    batches = Batches(Composites(sprites[0], settings.scene, 0), None, settings, 2, 0, 9)
    measure_latents(vae, batches)
    from trace_edges.backbones import encode

    latents = torch.cat([encode(vae, batches[number]) for number in range(16)])
    std, mean = torch.std_mean(latents, dim=(0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(std, torch.ones(4), atol=1e-3, rtol=0)


def test_true_borders_score_one_and_another_scenes_do_not(settings, sprites):
    validator = Validator(sprites[1], replace(settings, check_scenes=3, tolerance=1.0))
    truth = [border.astype(np.float32) for border in validator._truth]
    right, wrong = validator.score([truth, [*truth[1:], truth[0]]])
    assert right == pytest.approx(1, abs=1e-6)
    assert wrong < 0.7


def test_sprites_on_both_sides_are_refused(settings, sprites, tmp_path):
    with pytest.raises(ValueError, match="others to measure on"):
        pretrain(tmp_path / "a", settings, sprites[0], sprites[0])


def test_the_card_says_what_was_measured_and_what_was_assumed(run, settings, tmp_path):
    photo = tmp_path / "p.png"
    Image.new("RGB", (60, 40), "red").save(photo)
    measured = run("a", photographs=[photo])
    command = "python -m recipes.trace_mini pretrain --out a"
    provenance = Provenance(command, "MIT sprites", "my own, CC0", 200.0, 300.0)
    write_card(tmp_path / "a", settings, measured, provenance)
    text = (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    best = str(measured["best_timestep"])
    for part in (command, "MIT sprites", "my own, CC0", f"t = {best}",
                 f"{measured['F'][best]:.3f}", "200 W", "300 g"):  # fmt: skip
        assert part in text
    assert carbon(3600, provenance) == pytest.approx((0.2, 60))


@pytest.mark.long
def test_the_command_trains_and_goes_on(tmp_path):
    command = ["pretrain", "--out", str(tmp_path / "a"), "--steps", "1", "--autoencoder-steps", "1",
               "--batch-size", "1", "--scenes", "2", "--check-scenes", "2", "--device",
               "cpu"]  # fmt: skip
    for _ in range(2):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        assert "chance" in result.output
    weights = load_file(tmp_path / "a/transformer/diffusion_pytorch_model.safetensors")
    assert all(weight.dtype == torch.float16 for weight in weights.values())
    refused = CliRunner().invoke(app, [*command, "--held-out", "rows.npy"])
    assert refused.exit_code == 1
    assert "--sprites" in refused.output
