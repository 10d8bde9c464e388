"""The report on a machine: what works here, and what is said of machines on which it does not."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.backbones.hub_layouts import LAYOUTS, as_the_hub_has_it, put_in_cache
from trace_edges.attention.maps import add_head_mean_blocks
from trace_edges.backbones import CHECKPOINTS, ENCODERS, load_backbone
from trace_edges.cli import app
from trace_edges.doctor import CHECKS, Finding, examine, machine, models, software
from trace_edges.results import EdgeMap


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of everything on the CPU: what was printed, and the JSON."""
    file = tmp_path_factory.mktemp("doctor") / "report.json"
    result = run("--device", "cpu", "--out", file)
    return result, json.loads(file.read_text(encoding="utf-8"))


def test_a_sound_machine_is_said_to_be_one(whole):
    result, report = whole
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("nothing is broken\n")
    assert report["broken"] == []
    assert [section["title"] for section in report["sections"]] == list(CHECKS)


def test_the_text_has_what_a_bug_report_needs_and_pastes_well(whole):
    result, _ = whole
    version = torch.__version__.partition("+")[0]
    for told in (version, "diffusers", "no CUDA device: the PyTorch way is used",
                 "takes cpu", "training-free, cpu"):  # fmt: skip
        assert told in result.stdout
    assert result.stdout.isascii()
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_home_folder_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "ada")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "ada" / "models"))
    told = [one.told for one in software.environment("cpu") if one.subject == "HF_HOME"]
    assert told == ["~/models"]


def test_secrets_are_not_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = list(software.environment("cpu"))
    assert Finding("HF_TOKEN", "set") in found
    assert "hf_secret" not in str(found)


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("DIFFUSERS_ATTN_BACKEND", "flash", "note"),
        ("DIFFUSERS_ATTN_BACKEND", "native", None),
        ("HF_HUB_OFFLINE", "1", "note"),
        ("HF_HUB_OFFLINE", "0", "ok"),
        ("PYTORCH_ENABLE_MPS_FALLBACK", "1", "note"),
        ("TRITON_INTERPRET", "1", "note"),
    ],
)
def test_variables_that_change_something_are_noted(name, value, state, monkeypatch):
    monkeypatch.setenv(name, value)
    states = {one.subject: one.state for one in software.environment("cpu")}
    assert states.get(name) == state


def test_a_device_that_is_not_there_is_broken_and_the_rest_is_looked_at(monkeypatch):
    monkeypatch.setattr("trace_edges.doctor.CHECKS", {"devices": machine.devices,
                                                      "compiler": machine.compiler})  # fmt: skip
    result = run("--device", "cuda:99")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("!")]
    assert "--device cuda:99" in line
    assert "compiler:" in result.stdout
    assert result.stdout.endswith("broken: --device cuda:99\n")


def test_a_check_that_raises_is_a_finding_and_does_not_stop_the_next():
    def fake_broken_driver(device):
        yield Finding("driver", "loaded")
        raise RuntimeError("CUDA error: no kernel image\nand many more lines")

    first, second = examine({"driver": fake_broken_driver, "numbers": machine.numbers})
    sound, broken = first.findings
    assert (sound.told, broken.state) == ("loaded", "broken")
    assert broken.told == "RuntimeError: CUDA error: no kernel image"
    assert "fake_broken_driver" in broken.details
    assert "fake_broken_driver" not in first.as_text()
    assert {one.state for one in second.findings} == {"ok"}


@pytest.mark.parametrize(
    ("fake_version", "told", "mend"),
    [("0.1", "0.1 does not do", "pip install --upgrade"), (None, "missing", "pip install")],
)
def test_a_library_that_is_missing_or_too_old_is_broken(fake_version, told, mend, monkeypatch):
    right = software._version
    monkeypatch.setattr(
        software, "_version", lambda name: fake_version if name == "diffusers" else right(name)
    )
    (broken,) = [one for one in software.versions("cpu") if one.state == "broken"]
    assert (broken.subject, broken.told) == ("diffusers", told)
    assert broken.mend.startswith(f'{mend} "diffusers>=')


def test_extras_are_installed_or_not_and_too_old_ones_are_noted(monkeypatch):
    versions = {"onnx": "1.23.0", "onnxruntime": "0.1", "matplotlib": None}
    monkeypatch.setattr(software, "_version", lambda name: versions.get(name, "999"))
    found = {one.subject: one for one in software.extras("cpu")}
    assert found["fast"].told == "triton 999"
    assert found["onnx"].state == "note"
    assert found["onnx"].mend == 'pip install --upgrade "trace-edges[onnx]"'
    assert found["distill"].told == "not installed (matplotlib)"


def test_a_library_that_cannot_be_imported_is_told_of(tmp_path):
    """A torch whose shared libraries are missing."""
    (tmp_path / "torch.py").write_text(
        "raise OSError('libcudart.so.99: cannot open')", encoding="utf-8"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-m", "trace_edges", "doctor"],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert "OSError: libcudart.so.99: cannot open" in ended.stdout
    assert "extras:" in ended.stdout


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),  # of its generation
        ((8, 0), ["sm_86"], False),  # newer than the card
        ((6, 1), ["sm_75", "sm_80"], False),
        ((12, 0), ["sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),  # PTX is translated for later cards
        ((9, 0), ["sm_80", "sm_90a"], True),
        ((9, 4), ["gfx942"], True),
    ],
)
def test_a_torch_is_built_for_a_card_or_not(capability, built, runs):
    assert machine.is_built_for(capability, built) is runs


def test_a_missing_compiler_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    compiler = next(iter(machine.compiler("cpu")))
    assert compiler.state == "note"
    assert "install gcc" in compiler.mend


@pytest.fixture
def cached_sd15(tiny_model, tiny_texts, tmp_path, monkeypatch):
    """A function that puts files of sd15 in the hub's cache, as they are laid down there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tiny_model("sd15", null=False, **tiny_texts("sd15"))
    as_the_hub_has_it(folder, LAYOUTS["sd15"])
    return partial(put_in_cache, folder, tmp_path / "hub", CHECKPOINTS["sd15"].hub)


def test_backbones_in_the_cache_are_here_or_partly_here(cached_sd15):
    def told():
        return {one.subject: (one.state, one.told) for one in models.cached_backbones("cpu")}

    assert told()["others"] == (
        "ok",
        f"{len(CHECKPOINTS) + len(ENCODERS)} that have names are not here",
    )
    cached_sd15(only=lambda name: not name.startswith(("vae/d", "text_encoder")))
    assert told()["sd15"] == ("note", "partly here, without vae")
    assert "sdxl" not in told()
    snapshot = cached_sd15(only=lambda name: not name.startswith("text_encoder"))
    assert told()["sd15"] == ("ok", "here, but for its null condition")
    cached_sd15()
    load_backbone("sd15", local_files_only=True)  # which keeps the null condition
    assert told()["sd15"] == ("ok", "here")
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").resolve().unlink()
    assert told()["sd15"] == ("note", "partly here, without unet")
    (snapshot / "model_index.json").unlink()
    (snapshot / "model_index.json").write_text(
        "[]", encoding="utf-8"
    )  # spoilt: the others are told of all the same
    state, said = told()["sd15"]
    assert (state, said.endswith("holds a list instead of an object; fetch it again")) == (
        "note",
        True,
    )
    assert "others" in told()


def fake_kernel(error):
    """A kernel that adds the right maps but for `error`, or raises it."""

    def add(total, q, k, scale):
        if isinstance(error, Exception):
            raise error
        add_head_mean_blocks(total, q, k, scale)
        total += error

    return add


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (0.0, "ok", "differs by 0.0e+00"),
        (0.01, "broken", "differs by 1.0e-02"),
        (float("nan"), "broken", "differs by nan"),
        (RuntimeError("out of resource: shared memory"), "broken", "out of resource"),
    ],
)
def test_a_fake_broken_kernel_is_found(error, state, told, monkeypatch):
    kernels = pytest.importorskip("trace_edges.attention.kernels", reason="needs Triton")
    monkeypatch.setattr(kernels, "add_head_mean_fused", fake_kernel(error))
    found = list(models._kernels_on(torch.device("cpu")))
    of_maps = [one for one in found if one.subject.startswith("maps")]
    assert {one.state for one in of_maps} == {state}
    assert all(told in one.told for one in of_maps)
    assert {one.subject for one in of_maps} == {
        "maps, float32", "maps, float16", "maps, bfloat16"
    }  # fmt: skip


def fake_runs(changed):
    """Edges of a device that differ from those of the CPU by `changed`."""

    def run_embedded(device, dtype, image):
        _, distance = models.drawn_image()
        edges = np.exp(-distance / 10)[None].astype(np.float32)
        ridges = distance[None] < 1
        off = 0 if str(device) == "cpu" else changed
        return {"training-free": (EdgeMap(edges * (1 - off), ridges), 0.1)}

    return run_embedded


def test_a_fake_device_without_bfloat16_is_not_broken(monkeypatch):
    """As macOS before version 14 is."""
    monkeypatch.setattr(models, "run_embedded", fake_runs(0.001))
    monkeypatch.setattr("trace_edges.backbones.latents.has_bfloat16", lambda device: False)
    _, *of_device, last = models.embedded_model("meta")
    assert [one.state for one in of_device] == ["ok", "ok"]
    assert (last.state, last.told) == ("note", "meta does not have it: float16 is taken")


@pytest.mark.parametrize(
    ("changed", "states"),
    [
        (0.001, ["ok", "ok", "ok"]),
        (0.02, ["broken", "broken", "ok"]),  # bfloat16 is allowed more
        (0.5, ["broken"] * 3),
    ],
)
def test_a_fake_device_that_computes_something_else_is_found(changed, states, monkeypatch):
    monkeypatch.setattr(models, "run_embedded", fake_runs(changed))
    cpu, *of_device = models.embedded_model("meta")
    assert cpu.state == "ok"
    assert [one.subject for one in of_device] == [
        f"training-free, {dtype}" for dtype in ("float32", "float16", "bfloat16")
    ]
    assert [one.state for one in of_device] == states


def test_fake_edges_without_lines_at_the_borders_are_broken():
    _, distance = models.drawn_image()
    rng = np.random.default_rng(0)
    edges = rng.random(distance.shape, dtype=np.float32)[None]
    found = models._drawn_right("one step", EdgeMap(edges, edges > 0.9), 0.1, distance)
    assert found.state == "broken"
