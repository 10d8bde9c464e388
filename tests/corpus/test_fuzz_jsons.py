"""Any JSON at all, and sound files with anything in any place: read, or refused in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from trace_edges.evaluation.masks import evaluate_masks
from trace_edges.evaluation.panoptic import evaluate_panoptic
from trace_edges.extras import MissingExtraError
from trace_edges.formats import check_ground_truth, open_ground_truth, read_coco_masks
from trace_edges.formats.classes import read_class_table
from trace_edges.formats.coco import CocoMasks
from trace_edges.results import Calibration

from . import test_categories, test_coco, test_panoptic
from .fuzzing import fuzz, fuzzed, refusal

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 3, 24, 255, -1, 2**31, 2**63, 10**400, 1e300, -0.0])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "a.png", "a\\b.jpg", "..", "/", "\0", "\ud800", "x" * 300, "o" * 30])
)
keys = st.text(max_size=4) | st.sampled_from(
    ["id", "image_id", "category_id", "segmentation", "size", "counts", "images", "annotations",
     "categories", "segments_info", "file_name", "height", "width", "iscrowd", "isthing", "name"]
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)


def places(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield way
    inner = content.items() if isinstance(content, dict) else ()
    inner = enumerate(content) if isinstance(content, list) else inner
    for key, value in inner:
        yield from places(value, (*way, key))


@st.composite
def spoiled(draw: Callable[..., Any], content: Any) -> Any:
    """The content with anything in up to three places, or without what was there."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(list(places(content))))
        if not way:
            return draw(anything)
        holder = content
        for step in way[:-1]:
            holder = holder[step]
        if draw(st.booleans()):
            holder[way[-1]] = draw(anything)
        else:
            del holder[way[-1]]
    return content


read = partial(refusal, errors=(MissingExtraError, OSError, ValueError))


def jsons(folder: Path, content: Any, check: Callable[[Path], object], examples: int = 200) -> None:
    path = folder / "it.json"

    def written(value: Any) -> None:
        with suppress(UnicodeEncodeError):
            path.write_text(json.dumps(value), encoding="utf-8")
            check(path)

    fuzz(spoiled(content), written, examples)


def instances(folder: Path) -> None:
    good = folder / "good.json"
    good.write_text(json.dumps(test_coco.OK), encoding="utf-8")

    def check(path: Path) -> None:
        read(lambda: read_coco_masks(path))
        read(lambda: evaluate_masks(path, good, score="constant", backend="pycocotools"))
        read(lambda: evaluate_masks(good, path, score="constant", backend="pycocotools"))
        read(lambda: [reader() for reader in open_ground_truth(path).values()])
        read(lambda: refined(path))
        for finding in check_ground_truth(path):
            assert "\n" not in str(finding)

    def refined(path: Path) -> object:
        masks = CocoMasks(path)
        read_all = {name: masks.read_by_category(name)[0] for name in masks.ids}
        entries = {
            name: [entry for key, own in by.items() for entry in masks.entries(name, key, own)]
            for name, by in read_all.items()
        }
        return masks.replaced(entries)

    jsons(folder, test_coco.OK, check)


def segments(folder: Path) -> None:
    test_panoptic.made(lambda path: None)(folder)

    def check(path: Path) -> None:
        read(lambda: evaluate_panoptic(path, folder / "ok.json"))
        read(lambda: evaluate_panoptic(folder / "ok.json", path))
        read(lambda: [reader() for reader in open_ground_truth(path).values()])
        for finding in check_ground_truth(path):
            assert "\n" not in str(finding)

    jsons(folder, test_panoptic.OK, check)


def classes(folder: Path) -> None:
    def check(path: Path) -> None:
        read(lambda: read_class_table(path))
        read(lambda: read_class_table(path, contiguous=True))

    jsons(folder, test_categories.OK, check)


def calibrations(folder: Path) -> None:
    good = {
        "strengths": [0.1, 0.5, 1.0],
        "precision": [0.0, 0.4, 0.4],
        "made_with": {"scales": [1]},
    }

    def check(path: Path) -> None:
        line = read(lambda: Calibration.load(path)(np.array([0.3], dtype=np.float32)))
        assert line is None or str(path) in line, line

    jsons(folder, good, check)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("run", [instances, segments, classes, calibrations])
def test_changed_values_give_what_can_be_used_or_one_line(run, tmp_path):
    pytest.importorskip("pycocotools")
    fuzzed(run, tmp_path)
