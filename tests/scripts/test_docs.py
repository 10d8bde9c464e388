"""What the documents tell people to type is what the package takes."""

import json
import os
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from trace_edges.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)

# Pages whose Python runs as it stands, with the default model.
RUNNING = ["../README.md", "index.md", "tutorial.md", "how-to/own-images.md",
           "how-to/labelling-tools.md", "how-to/controlnet.md"]  # fmt: skip


# Pages whose Python is compiled alone, and why it does not run.
COMPILED = {
    "backbones.md": "weights of gigabytes",
    "distillation.md": "training; tests/distillation/test_run.py calls it with tiny settings",
    "evaluation.md": "maps of the reader; tests/metrics/test_edges.py",
    "explain.md": "weights of gigabytes; tests/explain/test_sheets_prompt.py",
    "how-to/gpu.md": "weights of gigabytes, and a GPU",
    "how-to/sam.md": "weights of SAM; tests/instances/test_sam.py",
    "segmentation.md": "masks of the reader, weights of SAM; tests/instances",
    "training.md": "weights of gigabytes; tests/scripts/test_training_scripts.py",
    "trust.md": "files of IRN, which it unpickles",
}

# Those that people read first; the others run in `make test-long`.
OFTEN = ("../README.md", "README.md", "tutorial.md", "how-to/controlnet.md")


def often(pages):
    """The pages as parameters of a test."""
    return [
        pytest.param(page, id=page, marks=() if page in OFTEN else pytest.mark.long)
        for page in pages
    ]


def blocks(page, *languages):
    return [
        code
        for language, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if language in languages
    ]


def lines(page):
    """The lines of a page's shell blocks, continued ones joined, without comments."""
    for block in blocks(page, "", "sh", "console"):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            yield re.split(r"\s#(?:\s|$)", line)[0].strip()


def commands():
    """Every command line of this package, by page; a synopsis with choices is none."""
    for page in PAGES:
        for line in lines(page):
            for part in line.split(" && "):
                synopsis = "|" in part or "[" in part
                if part.startswith("trace-edges ") and not synopsis:
                    yield pytest.param(part, id=f"{page.name}: {part[:60]}")


def modules():
    """Every `python -m` of the repository, by page."""
    for page in PAGES:
        for line in lines(page):
            if found := re.match(r"python3? -m ((?:benchmarks|recipes|scripts)[\w.]*)", line):
                yield pytest.param(found[1], id=f"{page.name}: {found[1]}")


@pytest.mark.parametrize("line", list(commands()))
def test_a_command_of_the_documents_is_parsed(line):
    command, words = get_command(app), shlex.split(line)[1:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    if not {"--help", "--version"} & set(words):
        command.make_context("trace-edges", words).close()


@pytest.mark.parametrize("name", list(modules()))
def test_a_module_of_the_documents_is_there(name):
    assert find_spec(name) is not None


def test_there_are_commands_to_test():
    assert len(list(commands())) > 50
    assert len(list(modules())) > 15


def test_the_python_of_every_page_runs_or_is_compiled():
    for page in PAGES:
        name = os.path.relpath(page, ROOT / "docs").replace(os.sep, "/")
        for code in blocks(page, "python"):
            assert name in {*RUNNING, *COMPILED, "reference/python.md"}, name  # that one imports
            compile(code, name, "exec")


@pytest.mark.parametrize("page", often(RUNNING))
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    """With small images in the place of the examples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").mkdir()
    drawn = np.full((64, 80, 3), 40, np.uint8)
    drawn[16:48, 16:48] = 220
    for name in ("examples/coins.png", "examples/coffee.jpg", "photo.jpg", "a.jpg", "b.jpg"):
        Image.fromarray(drawn).save(tmp_path / name)
    code = "\n".join(blocks(ROOT / "docs" / page, "python"))
    if "masks/instances.json" in code:  # what the command before it wrote
        words = ["segment", "examples/coins.png", "--out", "masks"]
        assert CliRunner().invoke(app, words).exit_code == 0
    exec(compile(code, page, "exec"), {})


# Pages whose commands run as they stand, but for a small --resolution; and why those of others
# are only parsed.
COMMANDS_RUN = ["README.md", "index.md", "tutorial.md", "labelling-tools.md", "own-images.md"]
COMMANDS_PARSED = {
    "CONTRIBUTING.md": "doctor, which tests/cli/test_doctor.py runs",
    "annotate.md": "stores, data sets and clusters; tests/jobs runs them on small ones",
    "backbones.md": "weights of gigabytes; tests/cli runs the options on tiny models",
    "composites.md": "minutes of detection; tests/recipes runs the recipe",
    "distillation.md": "training; tests/distillation runs it with tiny settings",
    "evaluation.md": "data sets; tests/cli/test_evaluate_*.py runs each verb",
    "explain.md": "weights of gigabytes; tests/explain runs them on tiny models",
    "explore.md": "a page that stays open; tests/explore looks at it in a browser",
    "faq.md": "none beyond those of the other pages",
    "gpu.md": "weights of gigabytes, and a GPU",
    "offline.md": "weights of gigabytes",
    "own-backbone.md": "a model of the reader; tests/cli runs the options on tiny models",
    "pretraining.md": "minutes of training; tests/recipes runs it",
    "quality.md": "100 photographs of COCO",
    "sam.md": "weights of SAM; tests/cli/test_segment.py runs --sam on a tiny one",
    "segmentation.md": "100 photographs of COCO, and weights of SAM",
    "training.md": "data sets; tests/scripts/test_training_scripts.py runs the scripts",
}


def test_every_page_with_commands_is_run_or_says_why_not():
    found = {one.id.partition(":")[0] for one in commands()}
    assert found <= {*COMMANDS_RUN, *COMMANDS_PARSED}


def small_data(folder):
    """What the commands of those pages read."""
    drawn = np.full((64, 80, 3), 40, np.uint8)
    drawn[16:48, 16:48] = 220
    names = ("examples/coins.png", "examples/coffee.jpg", "photos/a.jpg", "photos/2024-1.jpg",
             "photos/below/c.jpg", "photo.jpg")  # fmt: skip
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(folder / name)
    (folder / "classes").mkdir()
    for name in ("a", "2024-1"):
        Image.fromarray(np.where(drawn[..., 0] > 99, 15, 0).astype(np.uint8)).save(
            folder / f"classes/{name}.png"
        )
    mask = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1024,
            "bbox": [16, 16, 32, 32],
            "segmentation": [[16, 16, 48, 16, 48, 48, 16, 48]]}  # fmt: skip
    image = {"id": 1, "file_name": "a.jpg", "height": 64, "width": 80}
    content = {"images": [image], "annotations": [mask], "categories": [{"id": 1, "name": "it"}]}
    (folder / "masks.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("name", often(COMMANDS_RUN))
def test_the_commands_of_a_page_run(name, tmp_path, monkeypatch):
    small_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    (page,) = (one for one in PAGES if one.name == name)
    ran = 0
    for line in lines(page):
        words = shlex.split(line)[1:] if line.startswith("trace-edges ") else []
        if not words or words[0] in ("doctor", "backbones", "explore"):
            continue
        reads = words[0] in ("detect", "segment", "annotate", "explain")
        words += ["--resolution", "64"] if reads and "--resolution" not in words else []
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == 0, f"{line}: {ended.output}"
        ran += 1
    assert ran > 0


# Names, units and words that a reader of these pages knows; all else stands in the glossary.
KNOWN = """
A100 A10 AI AMD API AVIF B200 BERT BMP CI CITATION CLIP CNN CONTRIBUTING CPU CREDITS CUDA CVAT
DEST DHR DINO DINOV3 EIO EPYC ESTALE EVA02 FILE FLUX GB GIF GPU H100 HD HED HEIC HTTP ICLR IMAGES
JPEG JSON KEY L1 L2 L4 LICENSE MARS MATLAB MB MIT MSE NAME NVIDIA OUT PASCAL PDF PIL PNG README
RCF RGB RGBA ROW RTX S3 SAMPLE SIGINT SIGKILL SIGTERM SD SD3 SDXL SECURITY SGD SNR SOURCE SPLIT
SUFFIX T4 T5 TAR SA SVG THUDM TIFF TRACE UNET VL VM XL YOLO
"""
PROSE = re.compile(r"```.*?```|`[^`\n]*`|\$[^$]*\$|\]\([^)]*\)|<!--.*?-->", re.DOTALL)


def test_abbreviations_are_explained():
    known = set(KNOWN.split())
    glossary = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"^\| (.+?) \|", glossary, re.M))))
    for page in PAGES:
        text = PROSE.sub(" ", page.read_text(encoding="utf-8"))
        used = set(re.findall(r"(?<![\w-])[A-Z][A-Z0-9]+(?![\w-])", text))
        assert used <= explained | known, f"{page.name}: {sorted(used - explained - known)}"


def test_pages_of_the_navigation_are_all_pages():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r": ([\w/-]+\.md)", navigation))
    listed = {page for page in listed if not page.startswith("notebooks/")}  # made as it is built
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES[2:]}
