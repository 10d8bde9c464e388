"""Training: it learns, and stopping it changes nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from PIL import Image
from safetensors.torch import load_file

from trace_edges.backbones import load_backbone
from trace_edges.detector import EdgeDetector, Student, StudentSettings
from trace_edges.distillation import CONFIGS, train_student
from trace_edges.distillation.fitting import SHEET, seed_student
from trace_edges.distillation.label_cache import LabelCache
from trace_edges.distillation.teachers import TrainingFreeTeacher
from trace_edges.distillation.validation import OdsValidation
from trace_edges.files import FileError
from trace_edges.training import BEST, CHECKPOINT
from trace_edges.training.curves import LINES as CURVES
from trace_edges.training.curves import PICTURE
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings

from .truth import bright_parts

SETTINGS = replace(
    CONFIGS["toy"],
    student=StudentSettings(blocks=(0, 1), width=16),
    teacher=TraceSettings(timestep=99, trajectory="noise", resolution=128),
    resolution=128, crop=64, batch_size=2, steps=12, validate_every=5, save_every=4,
)  # fmt: skip


@pytest.fixture
def photographs(tmp_path):
    """Six pictures of a bright square on dark ground; the first two are held out."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(6):
        picture = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        top, left = rng.integers(10, 40, 2)
        picture[top : top + 40, left : left + 40] += 180
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])
    return paths


@pytest.fixture
def run(tiny_pixart, photographs, tmp_path):
    """A function that distils into a folder, from random weights that are always the same."""
    backbone = tiny_pixart()

    def start(folder, settings=SETTINGS, **options):
        teacher = TrainingFreeTeacher(TraceEdgePipeline(load_backbone(backbone)), settings.teacher)
        cache = LabelCache(tmp_path / "labels", teacher)
        student = Student(load_backbone(backbone), settings.student)
        return train_student(
            photographs[2:], photographs[:2], student, cache, tmp_path / folder, settings, **options
        )

    return start


def trained(student):
    return {name: weight.detach().clone() for name, weight in student.trained()}


def test_the_loss_falls_and_a_line_stands_for_every_step(run, tmp_path):
    run("a", replace(SETTINGS, steps=60, learning_rate=1e-2))
    lines = [
        json.loads(line)
        for line in (tmp_path / "a" / CURVES).read_text(encoding="utf-8").splitlines()
    ]
    assert [line["step"] for line in lines] == list(range(1, 61))
    measured = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert measured[-1] < 0.8 * measured[0]
    with Image.open(tmp_path / "a" / SHEET) as sheet:
        assert sheet.height == 2 * 192  # a row for each of the two that are held out


@pytest.mark.parametrize("rank", [0, 2])
def test_a_run_that_was_stopped_ends_with_the_same_weights(run, tmp_path, rank):
    if rank:
        pytest.importorskip("peft")
    settings = replace(SETTINGS, student=replace(SETTINGS.student, rank=rank))
    undisturbed = trained(run("a", settings))

    class StoppedError(Exception):
        pass

    def stop(at):
        def on_step(line):
            if line["step"] == at:
                raise StoppedError

        return on_step

    for at in (3, 6, 11):  # before, between and after checkpoints
        with pytest.raises(StoppedError):
            run("b", settings, on_step=stop(at))
    resumed = trained(run("b", settings))
    assert undisturbed.keys() == resumed.keys()
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in resumed)
    curves = [(tmp_path / folder / CURVES).read_text(encoding="utf-8") for folder in "ab"]
    assert curves[0] == curves[1]


def test_a_folder_with_another_run_is_refused_and_the_difference_named(run, tmp_path):
    run("a")
    before = (tmp_path / "a" / CHECKPOINT).read_bytes()
    with pytest.raises(FileError, match=r"learning_rate 0.002, not 0.1"):
        run("a", replace(SETTINGS, learning_rate=0.1))
    assert (tmp_path / "a" / CHECKPOINT).read_bytes() == before


def test_another_seed_gives_other_weights(run):
    first, second = trained(run("a")), trained(run("b", replace(SETTINGS, seed=1)))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_the_frozen_backbone_is_not_changed(run):
    student = run("a")
    assert student.backbone.fingerprint() == student.base
    assert student.base == load_backbone(student.backbone.name).fingerprint()


@pytest.mark.parametrize("reduction", [1, 2])
def test_reconstruction_trains_the_lora(run, reduction):
    pytest.importorskip("peft")
    student = replace(SETTINGS.student, rank=2, reduction=reduction)
    plain = trained(run("a", replace(SETTINGS, student=student)))
    both = trained(run("b", replace(SETTINGS, student=student, reconstruction_weight=1.0)))
    lora = [name for name in plain if "lora_B" in name]
    assert lora
    assert all(not torch.equal(plain[name], both[name]) for name in lora)


@pytest.mark.parametrize("reduction", [1, 2])
def test_what_is_saved_is_lora_and_decoder_and_comes_back(run, tmp_path, photographs, reduction):
    student = replace(SETTINGS.student, reduction=reduction)
    detector = EdgeDetector(run("a", replace(SETTINGS, student=student)), 128)
    detector.save_pretrained(tmp_path / "saved")
    again = EdgeDetector.from_pretrained(tmp_path / "saved")
    weights = load_file(tmp_path / "saved" / "detector.safetensors")
    assert all(name.startswith("decoder.") for name in weights)
    first, second = detector(photographs[0]), again(photographs[0])
    assert np.array_equal(first.edges, second.edges)
    assert np.array_equal(first.ridges, second.ridges)


class ValidationFakedByAList:
    """Answers with values known beforehand."""

    patience = 2

    def __init__(self, *values):
        self.values = list(values)

    def describe(self):
        return {"faked": True}

    def __call__(self, student):
        return self.values.pop(0)


def test_a_run_stops_when_ods_no_longer_rises_and_keeps_the_best_weights(run, tmp_path):
    settings = replace(SETTINGS, validate_every=2)
    student = run("a", settings, validation=ValidationFakedByAList(0.1, 0.3, 0.2, 0.25))
    lines = [
        json.loads(line)
        for line in (tmp_path / "a" / CURVES).read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) == 6  # validated at 1, 2, 4 and 6; the best is at 2
    best = load_file(tmp_path / "a" / BEST)
    assert all(torch.equal(weight, best[name]) for name, weight in trained(student).items())
    last = trained(run("b", replace(settings, steps=6)))
    assert any(not torch.equal(weight, best[name]) for name, weight in last.items())
    again = run("a", settings, validation=ValidationFakedByAList())  # nothing is left to do
    assert all(torch.equal(weight, best[name]) for name, weight in trained(again).items())


def test_a_run_that_measures_ods_is_not_gone_on_with_without(run):
    run("a", validation=ValidationFakedByAList(*[0.1] * 9))
    with pytest.raises(FileError, match="judge"):
        run("a")


def test_ods_is_measured_on_images_with_ground_truth(run, tmp_path, photographs):
    truth = bright_parts(photographs[:2], tmp_path / "truth")
    validation = OdsValidation(photographs, truth, 128)
    assert validation.describe()["images"] == ["0", "1"]
    student = run("a")
    assert 0 <= validation(student) <= 1
    assert validation(student) == validation(student)
    with pytest.raises(ValueError, match="none of the 4"):
        OdsValidation(photographs[2:], truth, 128)
    with pytest.raises(ValueError, match="patience must lie in"):
        OdsValidation(photographs, truth, 128, patience=0)


def test_curves_are_drawn(run, tmp_path):
    run("a", validation=ValidationFakedByAList(0.1, 0.3, 0.2, 0.25))
    with Image.open(tmp_path / "a" / PICTURE) as picture:
        assert picture.width == 700


def test_trackers_of_accelerate_are_told(run):
    class TrackerOfTests(GeneralTracker):
        name, requires_logging_directory, tracker = "tests", False, None

        def __init__(self):
            super().__init__()
            self.told = []

        def store_init_configuration(self, values):
            pass

        def log(self, values, step, **options):
            self.told.append((step, sorted(values)))

    tracker = TrackerOfTests()
    accelerator = Accelerator(cpu=True, log_with=tracker)
    accelerator.init_trackers("distill")
    run("a", accelerator=accelerator)
    assert tracker.told[0] == (1, ["loss", "validation_loss"])
    assert [step for step, _ in tracker.told] == list(range(1, 13))


def test_gradient_checkpointing_changes_no_gradient(tiny_pixart):
    pytest.importorskip("peft")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    gradients = []
    for saving in (False, True):
        student = Student(
            load_backbone(tiny_pixart()), StudentSettings(blocks=(0, 1), width=16, rank=2)
        )
        seed_student(student, 0)
        for name, weight in student.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.constant_(weight, 0.1)
        if saving:
            student.denoiser.enable_gradient_checkpointing()
            student.denoiser.train()
        logits, _ = student(images)
        logits.square().mean().backward()
        gradients.append({n: w.grad for n, w in student.trained() if w.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert any(".lora_A." in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name
