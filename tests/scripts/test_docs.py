"""The pages are all in the navigation, and their abbreviations are explained."""

import re

from typer.main import get_command

from tests.scripts.pages import PAGES, ROOT, steps
from trace_edges.cli import app

# Names, units and words that a reader of these pages knows; all else stands in the glossary.
KNOWN = """
A100 A10 AI AMD API AVIF B200 BERT BMP CI CITATION CLIP CNN CONTRIBUTING CPU CREDITS CUDA CVAT
DEST DHR DINO DINOV3 EIO EPYC ESTALE EVA02 FILE FLUX GB GIF GPU H100 HD HED HEIC HTTP ICLR IMAGES
JPEG JSON KEY L1 L2 L4 LICENSE MARS MATLAB MB MIT MSE NAME NVIDIA OUT PASCAL PDF PIL PNG README
RCF RGB RGBA ROW RTX S3 SAMPLE SIGINT SIGKILL SIGTERM SD SD3 SDXL SECURITY SGD SNR SOURCE SPLIT
SPRITES SUFFIX T4 T5 TAR SA SVG THUDM TIFF TRACE UNET VL VM XL YOLO
"""
PROSE = re.compile(r"```.*?```|`[^`\n]*`|\$[^$]*\$|\]\([^)]*\)|<!--.*?-->", re.DOTALL)


ABBREVIATION = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]+(?![\w-])")


def explained():
    """The words that the glossary explains."""
    glossary = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
    return set(re.findall(r"\w+", " ".join(re.findall(r"^\| (.+?) \|", glossary, re.M))))


def test_abbreviations_are_explained():
    known = explained() | set(KNOWN.split())
    for page in PAGES:
        used = set(ABBREVIATION.findall(PROSE.sub(" ", page.read_text(encoding="utf-8"))))
        assert used <= known, f"{page.name}: {sorted(used - known)}"


def helps(command):
    """What --help says of a command and of those below it."""
    yield command.help or ""
    yield from (one.help or "" for one in command.params)
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner)


def test_abbreviations_of_helps_are_explained():
    known = (
        explained() | set(KNOWN.split()) | {"FOLDER", "HTML", "MASKS", "RESULTS", "URL", "VOC2012"}
    )
    used = set(ABBREVIATION.findall(PROSE.sub(" ", " ".join(helps(get_command(app))))))
    assert used <= known, sorted(used - known)


def verbs(command, *words):
    """Every command that does something, as it is typed."""
    inner = getattr(command, "commands", {})
    for name, below in inner.items():
        if not below.hidden:
            yield from verbs(below, *words, name)
    if not inner:
        yield " ".join(words)


def test_every_command_is_shown_on_a_page_with_its_arguments():
    typed = " ".join(line for page in PAGES for kind, line in steps(page) if kind == "shell")
    missing = [verb for verb in verbs(get_command(app), "trace-edges") if f"{verb} " not in typed]
    assert missing == []


def test_pages_of_the_navigation_are_all_pages():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r": ([\w/-]+\.md)", navigation))
    listed = {page for page in listed if not page.startswith("notebooks/")}  # made as it is built
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES[2:]}
