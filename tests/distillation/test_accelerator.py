"""A training step of every family on an accelerator, in every number type: a faked one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

from tests.fake_accelerator import NAME, fake_accelerator
from tests.tiny_models import TINY
from trace_edges.backbones import load_backbone
from trace_edges.detector import Student, StudentSettings
from trace_edges.distillation import CONFIGS, train_student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.teachers import View
from trace_edges.training import CHECKPOINT

pytest.importorskip("peft")

TYPES = ("float32", "float16", "bfloat16")
SETTINGS = replace(
    CONFIGS["paper"],
    student=StudentSettings(blocks=(0, -1), attention=1, width=16, rank=2),
    labels=CONFIGS["toy"].labels, resolution=64, crop=64, batch_size=2, steps=2,
    learning_rate=1e-3, validate_every=2, save_every=1,
)  # fmt: skip


class TeacherOfOneLine:
    """Faked: sees a vertical line in every photograph."""

    views = (View({"faked": True}, lambda image: np.eye(8, dtype=np.float32)[[3] * 8]),)

    def labels(self, maps, image, settings):
        from trace_edges.distillation.labels import make_labels

        return make_labels(maps[0], image, settings)


@pytest.fixture
def run(tiny_model, tmp_path, monkeypatch):
    """A function that trains two steps in a folder, and gives the student."""
    monkeypatch.setattr("trace_edges.distillation.validation._BATCHES", 1)
    paths = []
    for number in range(2):
        picture = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])

    def start(kind, dtype, device, folder, settings=SETTINGS, accelerator=None, **options):
        settings = replace(settings, dtype=dtype)
        backbone = load_backbone(tiny_model(kind), dtype=getattr(torch, dtype)).to(device)
        cache = LabelCache(tmp_path / "labels", TeacherOfOneLine())
        student = Student(backbone, settings.student)
        options["accelerator"] = accelerator or Accelerator(cpu=True)
        return train_student(
            paths[:1], paths[1:], student, cache, tmp_path / folder, settings, **options
        )

    return start


def cases():
    paper = {("sd15", "float16"), ("sdxl", "float16"), ("pixart", "float16"),
             ("sd3.5-large", "bfloat16"), ("flux-dev", "bfloat16")}  # fmt: skip
    # diffusers' HunyuanDiT knows no checkpoints.
    for turn, kind in enumerate(kind for kind in TINY if kind != "hunyuan-dit"):
        for place, dtype in enumerate(TYPES):
            if (kind, dtype) in paper or (turn % 2 == 0 and place == turn // 2 % 3):
                yield pytest.param(kind, dtype, id=f"{kind}-{dtype}")


def weights(student):
    return {name: weight.detach().cpu() for name, weight in student.trained()}


@pytest.mark.long
@pytest.mark.parametrize(("kind", "dtype"), list(cases()))
def test_two_steps_and_a_resume_are_those_of_the_cpu_faked_device(run, tmp_path, kind, dtype):
    """LoRA, checkpoints, L_rec, the VAE moved to and fro: weights go where the CPU's go."""
    expected = weights(run(kind, dtype, "cpu", "cpu"))
    with fake_accelerator() as device:
        student = run(kind, dtype, f"{NAME}:0", "fake")
        found = weights(student)
        assert {p.device for p in student.parameters()} == {torch.device(f"{NAME}:0")}
        assert {p.dtype for _, p in student.trained()} == {torch.float32}
        device.waits.clear()
        saved = load_file(tmp_path / "fake" / CHECKPOINT)
        again = weights(run(kind, dtype, f"{NAME}:0", "fake"))  # resumed at its end
    assert found.keys() == expected.keys() == again.keys()
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert all(torch.equal(saved[f"average/{name}"], found[name]) for name in found)
    assert any(".lora_B." in name and weight.any() for name, weight in found.items())
    moved = 2 * SETTINGS.learning_rate  # at most, of a weight in two steps of AdamW
    for name, weight in expected.items():
        assert (weight - found[name]).abs().max() <= (2 * moved if dtype != "float32" else moved)
    closest = torch.cat([(expected[n] - found[n]).abs().flatten() for n in found]).median()
    assert closest < (1e-6 if dtype == "float32" else 0.2 * moved)


LONG = [pytest.param(kind, marks=pytest.mark.long) for kind in ("sd15", "sd3.5-large", "flux-dev")]


@pytest.mark.parametrize("kind", ["pixart", *LONG])
def test_a_step_waits_for_no_layer_faked_device(run, kind):
    """Whether attention is sound, whether a gradient is, and the loss for its curve: all of one
    number, whatever the number of layers.
    """
    settings = replace(SETTINGS, offload_vae=False, steps=4, validate_every=9, save_every=9)
    with fake_accelerator() as device:
        seen = []
        run(kind, "float32", f"{NAME}:0", "fake", settings,
            on_step=lambda line: seen.append(list(device.waits)))  # fmt: skip
    within = seen[2][len(seen[1]) :]
    assert within
    assert all(elements == 1 for _, elements in within), within
    assert len(within) <= 4, within


class AcceleratorWithoutAutograd(Accelerator):
    """Faked: every gradient is 1. Autograd knows the first faked device only."""

    weights, devices = (), ()

    def backward(self, loss, **options):
        self.devices = (*self.devices, loss.device)
        for weight in self.weights:
            weight.grad = torch.ones_like(weight)


def test_the_second_device_is_trained_on_where_the_student_lies_there_faked_device(
    run, tmp_path, monkeypatch
):
    """As of `--device cuda:1`; accelerate itself would choose the first."""
    second, accelerator = torch.device(NAME, 1), AcceleratorWithoutAutograd(cpu=True)
    made = []
    prepare = accelerator.prepare_optimizer
    monkeypatch.setattr(
        accelerator,
        "prepare_optimizer",
        lambda *args, **named: made.append(prepare(*args, **named)) or made[-1],
    )
    with fake_accelerator():
        monkeypatch.setattr(
            "trace_edges.distillation.fitting.seed_student",
            lambda student, seed: setattr(
                accelerator, "weights", [weight for _, weight in student.trained()]
            ),
        )  # fmt: skip
        student = run("pixart", "bfloat16", second, "run", accelerator=accelerator)
        moments = [state["exp_avg"] for state in made[0].optimizer.state.values()]
        found = {one.device for one in (*student.parameters(), *moments)}
    assert accelerator.devices == (second, second)
    assert found == {second}
    assert (tmp_path / "run" / CHECKPOINT).exists()
