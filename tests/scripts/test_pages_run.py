"""What the pages tell people to type runs, from the top of each page to its end, in a folder where
everything is tiny. A page that is new, or a command that is added to one, is run as well.
"""

import re
from importlib.util import find_spec

import pytest

from tests.backbones.hub_layouts import LAYOUTS, as_the_hub_has_it, put_in_cache
from tests.scripts.pages import PAGES, name_of, steps
from tests.scripts.sandbox import (
    ONLY_PARSED,
    furnish,
    named,
    names_of_the_reader,
    parse,
    smaller_images,
    smaller_training,
    type_in,
)
from tests.tiny_namers import write_namer
from tests.tiny_sams import write_sam

# Those that people read first; the others run in `make test-long`.
OFTEN = ("../README.md", "tutorial.md", "how-to/controlnet.md")

# Numbers of the Python of the pages, and GPUs.
SMALLER_PYTHON = {'device="cuda"': 'device="cpu"', "steps=30": "steps=2, height=64, width=64",
                  "hold_out=10": "hold_out=2", "(384, 512)": "(64, 64)"}  # fmt: skip

# Labelling tools, which are no dependencies: where one is missing, its Python is only compiled.
TOOLS = ("fiftyone",)


def with_commands():
    """The pages that have something to type, as parameters."""
    for page in PAGES:
        if list(steps(page)):
            name = name_of(page)
            yield pytest.param(page, id=name, marks=() if name in OFTEN else pytest.mark.long)


def write_vit(folder):
    """A vision transformer of two layers."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=64,
                       patch_size=8, intermediate_size=48)  # fmt: skip
    ViTModel(config).save_pretrained(folder)
    return folder


def commands():
    """Every command of this package that is typed with arguments, by page."""
    for page in PAGES:
        for kind, line in steps(page):
            for part in line.split(" && ") if kind == "shell" else ():
                if part.startswith("trace-edges "):
                    yield pytest.param(part, id=f"{name_of(page)}: {part[:60]}")


@pytest.mark.parametrize("line", list(commands()))
def test_a_command_of_the_documents_is_parsed(line):
    """In `make test`, also of the pages that run in `make test-long` alone."""
    parse(line)


def test_there_are_commands_to_test():
    assert len(list(commands())) > 50
    assert len(list(with_commands())) > 20


def test_what_is_only_parsed_is_still_there():
    lines = [line for page in PAGES for kind, line in steps(page) if kind != "python"]
    for part in ONLY_PARSED:
        assert any(re.search(part, line) for line in lines), (
            f"nothing matches {part!r}: take it out"
        )


def write_swin(folder):
    """A Swin transformer of four layers."""
    from transformers import SwinBackbone, SwinConfig

    config = SwinConfig(embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=2,
                        image_size=64)  # fmt: skip
    SwinBackbone(config).save_pretrained(folder)
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch, request):
    """A function that puts every model that a text names into the hub's cache, tiny and random."""

    def lay_down(text):
        from trace_edges.backbones import CHECKPOINTS, ENCODERS

        cache = tmp_path / "hub"
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        for name in LAYOUTS:
            if re.search(
                rf"""(?:backbones |--backbone |["'])({re.escape(name)})(?![\w.-])""", text
            ):
                write, texts = map(request.getfixturevalue, ("tiny_model", "tiny_texts"))
                layout = LAYOUTS[name]
                folder = write(layout.tiny, null=False, **texts(layout.tiny))
                as_the_hub_has_it(folder, layout)
                put_in_cache(folder, cache, CHECKPOINTS[name].hub)
        for repository in re.findall(r"(facebook/sam[\w.-]+)", text):
            write_sam("sam2" if "sam2" in repository else "sam", tmp_path / repository)
            put_in_cache(tmp_path / repository, cache, repository)
        if "weights/sam-vit-base" in text:
            write_sam("sam", tmp_path / "weights/sam-vit-base")
        for name in re.findall(r"backbone (dino[\w-]+)", text):
            put_in_cache(write_vit(tmp_path / name), cache, ENCODERS[name].hub)
        for name in set(re.findall(r"microsoft/swin[\w-]+", text)):
            put_in_cache(write_swin(tmp_path / name), cache, name)
        for name in set(re.findall(r"--class-model (openai/clip[\w-]+)", text)):
            put_in_cache(write_namer("clip", tmp_path / name), cache, name)
        if "path/to/folder" in text:
            request.getfixturevalue("tiny_model")("sd15", folder="path/to/folder")

    return lay_down


@pytest.mark.timeout(1200)  # on a busy machine; the longest takes 20 s of a quiet one
@pytest.mark.parametrize("page", list(with_commands()))
def test_what_a_page_tells_people_to_type_runs(page, tmp_path, monkeypatch, models):
    monkeypatch.chdir(tmp_path)
    found = list(steps(page))
    furnish(tmp_path)
    models("\n".join(code for _, code in found))
    smaller_training(monkeypatch)
    smaller_images(monkeypatch)
    names = names_of_the_reader()
    for kind, code in found:
        if kind == "shell":
            type_in(code, monkeypatch)
        elif kind == "name":
            named(code)
        else:
            for large, small in SMALLER_PYTHON.items():
                code = code.replace(large, small)
            compiled = compile(code, name_of(page), "exec")
            if not any(find_spec(tool) is None for tool in TOOLS if f"import {tool}" in code):
                exec(compiled, names)
