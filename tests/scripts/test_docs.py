"""What the documents tell people to type is what the package takes."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from trace_edges.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)

# Pages whose Python runs as it stands, with the default model.
RUNNING = ["../README.md", "index.md", "tutorial.md", "how-to/own-images.md",
           "how-to/labelling-tools.md", "how-to/controlnet.md"]  # fmt: skip


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


@pytest.mark.parametrize("page", RUNNING)
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
        from typer.testing import CliRunner

        words = ["segment", "examples/coins.png", "--out", "masks"]
        assert CliRunner().invoke(app, words).exit_code == 0
    exec(compile(code, page, "exec"), {})


def test_pages_of_the_navigation_are_all_pages():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r": ([\w/-]+\.md)", navigation))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES[2:]}
