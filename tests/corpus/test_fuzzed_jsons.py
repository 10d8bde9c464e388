"""Any JSON at all, and sound files with anything in any place: read, or refused in one line."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trace_edges.evaluation.masks import evaluate_masks
from trace_edges.evaluation.panoptic import evaluate_panoptic
from trace_edges.extras import MissingExtraError
from trace_edges.formats import check_ground_truth, open_ground_truth, read_coco_masks
from trace_edges.formats.classes import read_class_table
from trace_edges.formats.coco import CocoMasks

from . import test_categories, test_coco, test_panoptic

# By default the same cases in every run, so that what passes here passes everywhere. For as many
# new cases as an hour holds, for each test: TRACE_EDGES_FUZZ=3600.
SECONDS = float(os.environ.get("TRACE_EDGES_FUZZ", 0))

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


def read(check: Callable[[], object]) -> None:
    """Run, and let errors of one short line pass; anything else is a fault."""
    try:
        check()
    except (MissingExtraError, OSError, ValueError) as error:
        line = str(error)
        assert line
        assert "\n" not in line
        assert len(line) < 1000
        line.encode()  # it can be printed


def fuzz(content: Any, check: Callable[[Path], object], folder: Path, name: str) -> None:
    end = time.monotonic() + SECONDS
    path = folder / name

    @settings(
        max_examples=10**9 if SECONDS else 400, derandomize=not SECONDS,
        deadline=None, database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(spoiled(content))
    def run(value: Any) -> None:
        if SECONDS and time.monotonic() > end:
            return
        with suppress(UnicodeEncodeError):
            path.write_text(json.dumps(value), encoding="utf-8")
            check(path)

    run()


@pytest.mark.long
def test_instances(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    good = tmp_path / "good.json"
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

    fuzz(test_coco.OK, check, tmp_path, "it.json")


@pytest.mark.long
def test_segments(tmp_path: Path) -> None:
    make = test_panoptic.made(lambda path: None)
    make(tmp_path)

    def check(path: Path) -> None:
        read(lambda: evaluate_panoptic(path, tmp_path / "ok.json"))
        read(lambda: evaluate_panoptic(tmp_path / "ok.json", path))
        read(lambda: [reader() for reader in open_ground_truth(path).values()])
        for finding in check_ground_truth(path):
            assert "\n" not in str(finding)

    fuzz(test_panoptic.OK, check, tmp_path, "it.json")


@pytest.mark.long
def test_classes(tmp_path: Path) -> None:
    def check(path: Path) -> None:
        read(lambda: read_class_table(path))
        read(lambda: read_class_table(path, contiguous=True))

    fuzz(test_categories.OK, check, tmp_path, "it.json")
