"""Settings: into JSON and back, and a line for what is wrong with them."""

import json
from dataclasses import replace

import pytest

from trace_edges.backbones.checkpoints import embedded_folder
from trace_edges.distillation import CONFIGS, DistillationSettings
from trace_edges.distillation.settings import read_config
from trace_edges.distillation.teachers import Averaging
from trace_edges.files import FileError


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_survives_json(name):
    described = json.loads(json.dumps(CONFIGS[name].describe()))
    assert DistillationSettings.from_description(described) == CONFIGS[name]


def test_tuples_come_back(tmp_path):
    averaging = Averaging(resolutions=(384, 512), timesteps=(99, 199), seeds=(0, 1), mirror=True)
    settings = replace(CONFIGS["toy"], averaging=averaging)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(settings.describe()), encoding="utf-8")
    assert read_config(str(path)) == settings


def test_what_a_file_leaves_out_is_the_default(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"steps": 7, "student": {"width": 32}}', encoding="utf-8")
    made = read_config(str(path))
    assert (made.steps, made.student.width) == (7, 32)
    assert made.labels == DistillationSettings().labels


def test_the_run_of_a_detector_is_repeated_from_its_config(tmp_path):
    path = tmp_path / "config.json"
    training = CONFIGS["toy"].describe() | {"photographs": 45, "measured": {"loss": 0.1}}
    path.write_text(json.dumps({"backbone": "trace-mini", "training": training}), encoding="utf-8")
    assert read_config(str(path)) == CONFIGS["toy"]


def test_the_run_of_the_embedded_detector_is_repeated():
    path = embedded_folder() / "detector" / "config.json"
    student = replace(CONFIGS["cpu"].student, blocks=(13,))
    assert read_config(str(path)) == replace(CONFIGS["cpu"], student=student)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not valid JSON"),
        ('{"step": 7}', "step"),
        ('{"steps": 0}', "steps is 0, and should be at least 1"),
        ('{"student": {"size": 3}}', "has student.size, which is unknown"),
        ('{"crop": 1000000000}', "crop is 1000000000, and should be at most 16384"),
        ('{"batch_size": 1.5}', "batch_size is 1.5, and should be a valid integer"),
        ('{"batch_size": 4096, "crop": 1024}', "a batch of more than 400,000,000 pixels"),
        ('{"teacher": {"resolution": 1000000000}}', "resolution must be 16384 or less"),
        ('{"twins": 0.5}', "twins are of what is pasted: set pasted above 0"),
        ('{"learning_rate": NaN}', "learning_rate is NaN"),
        ('{"student": null}', "student is null, and should be an object"),
        ("[1]", "is a list of 1, and should be an object"),
    ],
)
def test_a_file_without_settings_is_named(tmp_path, content, problem):
    path = tmp_path / "run.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match=problem) as caught:
        read_config(str(path))
    assert "run.json" in str(caught.value)


def test_a_config_that_is_not_there_names_those_that_are():
    with pytest.raises(ValueError, match="toy, pixels, cpu, 24gb, paper"):
        read_config("huge")
