"""Which libraries a command imports: those it uses. What takes seconds is named here."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app, outline

SLOW = ("accelerate", "boto3", "diffusers", "peft", "torch._dynamo", "transformers")
LEFT_OUT = ("accelerate", "diffusers", "huggingface_hub", "skimage", "torch", "transformers")
RUN = """
import sys
sys.modules |= dict.fromkeys({missing})
from trace_edges.cli import app
try:
    app(sys.argv[2:])
except SystemExit as end:
    code = end.code
print(code, sorted(set(sys.argv[1].split()) & set(sys.modules)))
"""


def run(folder, libraries, *command, missing=()):
    """A command where some libraries are missing; last it prints its exit code, and which of the
    others it has imported.
    """
    code = RUN.replace("{missing}", repr(missing))
    arguments = [sys.executable, "-c", code, " ".join(libraries), *command]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True)


def end_and_imports(folder, libraries, *command):
    """Exit code of the command, and which of the libraries it has imported."""
    return run(folder, libraries, *command).stdout.splitlines()[-1]


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
    Image.fromarray(picture()).save(tmp_path / "a.png")
    command = ("detect", "a.png", "--out", "out", "--resolution", "64", "--device", "cpu", *way)
    assert end_and_imports(tmp_path, SLOW, *command) == "0 []"


def test_the_detector_of_the_image_alone_needs_no_diffusion_model(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    command = ("detect", "a.png", "--out", "out", "--device", "cpu")
    slow = ("huggingface_hub", "skimage", "triton", *SLOW)
    assert end_and_imports(tmp_path, slow, *command) == "0 []"


def picture():
    image = np.random.default_rng(0).integers(0, 60, (60, 90, 3), np.uint8)
    image[15:45, 20:60] += np.uint8(180)
    return image


def test_a_small_installation_detects_what_the_whole_one_does(tmp_path):
    pytest.importorskip("onnxruntime")
    Image.fromarray(picture()).save(tmp_path / "a.png")
    command = ("detect", "a.png", "--soft", "--format", "npy")
    assert end_and_imports(tmp_path, (), *command, "--out", "whole") == "0 []"
    small = run(tmp_path, (), *command, "--out", "small", missing=LEFT_OUT)
    assert small.stdout.splitlines()[-1] == "0 []", small.stderr
    whole, small = (np.load(tmp_path / name / "a.edges.npy") for name in ("whole", "small"))
    assert np.ptp(whole) > 0.5
    np.testing.assert_allclose(small, whole, atol=1e-3)


@pytest.mark.parametrize("command", [
    ("detect", "a.png", "--out", "out", "--training-free"),
    ("segment", "a.png", "--out", "out"),
    ("explain", "a.png", "--out", "out.png"),
], ids=" ".join)  # fmt: skip
def test_what_a_small_installation_cannot_do_is_said_in_one_line(command, tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    done = run(tmp_path, (), *command, missing=LEFT_OUT)
    assert done.stdout.splitlines()[-1] == "1 []"
    line = " ".join(done.stderr.split())
    assert line.startswith("trace-edges: ")
    assert "is not installed: detect works without it" in line


@pytest.mark.parametrize(
    "wrong", [("--training-free",), ("--device", "cuda"), ("--detector", "trace-mini")],
    ids=" ".join,
)  # fmt: skip
def test_what_onnx_runtime_cannot_compute_is_refused_without_pytorch(wrong, tmp_path):
    pytest.importorskip("onnxruntime")
    Image.fromarray(picture()).save(tmp_path / "a.png")
    command = ("detect", "a.png", "--out", "out", "--runtime", "onnx", *wrong)
    assert end_and_imports(tmp_path, ("torch",), *command) == "1 []"


def test_the_outline_of_the_help_is_that_of_the_whole_command():
    whole, outlined = (CliRunner().invoke(one, ["--help"]) for one in (app, outline()))
    assert whole.exit_code == outlined.exit_code == 0
    assert outlined.output == whole.output


def test_help_alone_imports_no_verb(tmp_path):
    code = "import sys; from trace_edges.cli import main; sys.argv[1:] = ['--help']; main()"
    late = "import atexit; atexit.register(lambda: print(*sys.modules)); "
    command = [sys.executable, "-c", f"import sys; {late}{code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "annotate" in done.stdout
    assert "trace_edges.cli.annotate" not in done.stdout.splitlines()[-1].split()
