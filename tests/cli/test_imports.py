"""Which libraries a command imports: those it uses. What takes seconds is named here."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SLOW = ("accelerate", "boto3", "diffusers", "peft", "torch._dynamo", "transformers")
RUN = """
import sys
from trace_edges.cli import app
try:
    app(sys.argv[2:])
except SystemExit as end:
    code = end.code
print(code, sorted(set(sys.argv[1].split()) & set(sys.modules)))
"""


def end_and_imports(folder, libraries, *command):
    """Exit code of the command, and which of the libraries it has imported."""
    arguments = [sys.executable, "-c", RUN, " ".join(libraries), *command]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "command",
    [("--help",), ("detect", "--help"), ("annotate", "--help"), ("evaluate", "edges", "--help"),
     ("backbones",), ("backbones", "--json"), ("backbones", "dinov2-base")],
    ids=" ".join,
)  # fmt: skip
def test_help_and_the_table_of_backbones_import_no_numbers(command, tmp_path):
    assert end_and_imports(tmp_path, ("numpy", "torch", *SLOW), *command) == "0 []"


@pytest.mark.parametrize(
    "wrong",
    [("--resolution", "0"), ("--detector", "a", "--backbone", "b"), ("--subcell", "2")],
    ids=" ".join,
)
def test_wrong_options_import_no_model(wrong, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    command = ("detect", "a.png", "--out", "out", *wrong)
    assert end_and_imports(tmp_path, ("torch", *SLOW), *command) == "1 []"


@pytest.mark.parametrize("command", [
    ("detect", "a.png", "--out", "out", "--detector", "nowhere"),
    ("detect", "a.png", "--out", "out", "--backbone", "sd35"),
    ("segment", "a.png", "--out", "out", "--edges", "nowhere"),
    ("refine", "nowhere.json", "edges", "--out", "out.json"),
    ("panoptic", "nowhere", "edges", "--categories", "voc", "--out", "out"),
    ("annotate", ".", "out", "--task", "panoptic"),
    ("explain", "nowhere.jpg", "--out", "out.png"),
    ("explore", "nowhere"),
    ("distill", "nowhere", "--out", "out"),
    ("evaluate", "edges", "nowhere", "a.png", "--images", "."),
    ("evaluate", "masks", "nowhere.json", "nowhere.json"),
    ("evaluate", "panoptic", "nowhere.json", "nowhere.json"),
    ("evaluate", "check", "nowhere.json"),
], ids=" ".join)  # fmt: skip
def test_wrong_paths_and_names_are_refused_before_pytorch_is_imported(command, tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert end_and_imports(tmp_path, ("torch", *SLOW), *command) == "1 []"


@pytest.mark.parametrize("way", [(), ("--training-free",)], ids=["one step", "training-free"])
def test_the_embedded_model_needs_pytorch_alone(way, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    command = ("detect", "a.png", "--out", "out", "--resolution", "64", "--device", "cpu", *way)
    assert end_and_imports(tmp_path, SLOW, *command) == "0 []"
