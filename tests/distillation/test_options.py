"""Options: what takes the place of a config's settings, and what is refused."""

import subprocess
import sys
from dataclasses import replace

import pytest

from trace_edges.distillation import CONFIGS, Overrides, TrainingOptions

TOY = CONFIGS["toy"]
WITH_LORA = CONFIGS["24gb"]


def test_what_is_not_given_stays_the_configs():
    for settings in CONFIGS.values():
        assert Overrides().apply(settings) == settings


def test_what_is_given_takes_its_place():
    made = Overrides(
        steps=7, seed=3, label_resolution=[64, 96], average_mirrored=True, shift=3.0
    ).apply(TOY)
    assert (made.steps, made.seed, made.teacher.shift) == (7, 3, 3.0)
    assert (made.averaging.resolutions, made.averaging.mirror) == ((64, 96), True)
    assert replace(
        made, steps=TOY.steps, seed=TOY.seed, averaging=TOY.averaging, teacher=TOY.teacher
    ) == TOY  # fmt: skip


def test_zero_is_given_too():
    made = Overrides(seed=0, reconstruction_weight=0.0).apply(replace(WITH_LORA, seed=5))
    assert (made.seed, made.reconstruction_weight) == (0, 0.0)


def test_the_reconstruction_loss_goes_with_the_lora():
    made = Overrides(rank=0).apply(WITH_LORA)
    assert (made.student.rank, made.reconstruction_weight) == (0, 0.0)
    assert Overrides(rank=8).apply(WITH_LORA).reconstruction_weight == 1.0
    with pytest.raises(ValueError, match="give it a rank"):
        Overrides(rank=0, reconstruction_weight=1.0).apply(WITH_LORA)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("steps", 0, 1), ("rank", -1, 0), ("reconstruction_weight", -0.5, 0),
     ("label_resolution", [64, 31], 32)],
)  # fmt: skip
def test_values_that_are_too_small_are_named(name, value, least):
    with pytest.raises(ValueError, match=f"{name} must be {least} or more"):
        Overrides(**{name: value})


@pytest.mark.parametrize("wrong", [{"hold_out": 1}, {"accumulate": 0}])
def test_options_of_training_that_make_no_sense_are_named(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} must be {value + 1} or more, not {value}"):
        TrainingOptions(**wrong)


def test_the_options_of_training_reach_accelerate(tmp_path):
    accelerator = TrainingOptions(accumulate=3).accelerator(tmp_path, cpu=True)
    assert accelerator.gradient_accumulation_steps == 3
    assert accelerator.device.type == "cpu"


def test_options_are_known_without_torch():
    code = "import sys, trace_edges.distillation.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
