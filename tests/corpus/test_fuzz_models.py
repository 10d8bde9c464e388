"""Configs of detectors and of model folders with anything in any place: loaded, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trace_edges.backbones import load_backbone
from trace_edges.backbones.checkpoints import embedded_folder
from trace_edges.detector import EdgeDetector
from trace_edges.instances.sam import load_sam

from .fuzzing import fuzzed, refusal
from .test_fuzz_jsons import jsons
from .test_model_folders import template

DETECTORS = ("trace-pixels", "trace-mini/detector")
CONFIGS = (
    ("pipeline", "model_index.json"), ("pipeline", "scheduler/scheduler_config.json"),
    ("pipeline", "transformer/config.json"), ("pipeline", "vae/config.json"),
    ("pipeline", "text_encoder/config.json"), ("pipeline", "tokenizer/tokenizer_config.json"),
    ("encoder", "config.json"), ("encoder", "preprocessor_config.json"),
    ("sam", "config.json"), ("sam", "preprocessor_config.json"),
)  # fmt: skip


def spoiled_config(work: Path, model: Path, file: str, load: Callable[[Path], object]) -> None:
    """Load a model again and again, with other content in one of its files."""
    folder = work / "model"
    shutil.copytree(model, folder)
    content = json.loads((folder / file).read_text(encoding="utf-8"))

    def check(spoiled: Path) -> None:
        shutil.copy(spoiled, folder / file)
        line = refusal(lambda: load(folder), (ValueError, OSError))
        assert line is None or str(folder) in line, line

    jsons(work, content, check, examples=30)


def detector(work: Path, name: str) -> None:
    model = embedded_folder().parent / name
    spoiled_config(work, model, "config.json", EdgeDetector.from_pretrained)


def backbone(work: Path, model: Path, file: str) -> None:
    spoiled_config(work, model, file, load_backbone)


def sam(work: Path, model: Path, file: str) -> None:
    spoiled_config(work, model, file, load_sam)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", DETECTORS)
def test_a_spoiled_config_gives_a_detector_or_one_line(name, tmp_path):
    fuzzed(detector, tmp_path, name)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("kind", "file"), CONFIGS)
def test_a_spoiled_config_gives_a_model_or_one_line(kind, file, tmp_path):
    fuzzed(sam if kind == "sam" else backbone, tmp_path, template(kind), file)
