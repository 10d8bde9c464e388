"""The table of models, what one of them needs, and its null condition made ahead of time."""

import json

import pytest
from typer.testing import CliRunner

from trace_edges.backbones import CHECKPOINTS, EMBEDDED, ENCODERS
from trace_edges.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["backbones", *map(str, arguments)])


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and nobody logged in."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("trace_edges.backbones.inventory.get_token", lambda: None)


def test_the_table_has_every_name_and_who_is_gated():
    result = run()
    assert result.exit_code == 0, result.output
    for name, checkpoint in CHECKPOINTS.items():
        assert name in result.stdout
        assert checkpoint.licence.split()[0] in result.stdout
    assert "(gated)" in result.stdout
    table = json.loads(run("--json").stdout)
    assert table.keys() == {EMBEDDED} | CHECKPOINTS.keys() | ENCODERS.keys()
    assert table["sd3.5-large"]["layers"] == 38


def test_the_embedded_model_stands_in_the_table():
    first = run().stdout.splitlines()[1].split()
    assert first[:6] == [EMBEDDED, "512", "0.015", "14", "64", "0.3"]
    about = run(EMBEDDED).stdout
    assert "its own notice" in about
    assert "transformer     here" in about


def test_what_is_missing_and_gated_is_said(no_hub):
    result = run("sd3.5-large")
    assert result.exit_code == 0, result.output
    assert "stabilityai/stable-diffusion-3.5-large" in result.stdout
    assert "accept the licence" in result.stdout
    assert "hf auth login" in result.stdout
    found = json.loads(run("sd3.5-large", "--json").stdout)
    assert found["here"] is False
    assert found["components"] == {"transformer": False, "vae": False, "scheduler": False}
    assert found["nulls"] == {"encoded": False, "no-t5": False}
    assert json.loads(run("sdxl", "--json").stdout)["nulls"] == {"zeros": True, "encoded": False}


def test_what_is_here_is_said(tiny_model):
    found = json.loads(run(tiny_model("sdxl"), "--json").stdout)
    assert found["here"] is True
    assert (found["family"], found["checkpoint"]) == ("sdxl", None)
    assert found["nulls"] == {"stored": True, "zeros": True, "encoded": False}


def test_weights_in_several_files_are_here_when_all_are(tiny_model):
    folder = tiny_model("sd3")
    (whole,) = (folder / "transformer").glob("*.safetensors")
    first, second = (f"{whole.stem}-0000{number}-of-00002.safetensors" for number in (1, 2))
    weights = whole.rename(whole.with_name(first))
    index = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": first, "b": second}}), encoding="utf-8")
    assert json.loads(run(folder, "--json").stdout)["components"]["transformer"] is False
    (folder / "transformer" / second).write_bytes(weights.read_bytes())
    assert json.loads(run(folder, "--json").stdout)["components"]["transformer"] is True


def test_prepare_without_a_text_encoder_ends_in_one_line(tiny_model):
    result = run(tiny_model("sd15", null=False), "--prepare", "--device", "cpu")
    assert result.exit_code == 1
    assert "no text encoder to encode the empty prompt with" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_prepare_says_where_the_null_condition_lies(tiny_model):
    folder = tiny_model("sdxl", null=False)
    result = run(folder, "--prepare", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "needs no text encoder" in result.stdout
    stored = run(tiny_model("sd15"), "--prepare", "--device", "cpu")
    assert "null_condition.safetensors" in stored.stdout


@pytest.mark.parametrize("options", [["--prepare"], ["--null", "zeros"], ["--revision", "main"]])
def test_options_of_one_backbone_need_its_name(options):
    result = run(*options)
    assert result.exit_code == 1
    assert "need the name of a backbone" in result.stderr
