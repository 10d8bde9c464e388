"""A calibration refuses what it was not measured on, and files that hold none."""

from dataclasses import replace

import numpy as np
import pytest

from trace_edges.files import FileError
from trace_edges.results import Calibration, EdgeMap

CURVE = Calibration(strengths=(0.2, 0.6), precision=(0.1, 0.5))
SETTINGS = {"method": "one-step", "resolution": 512, "scales": (1.0,), "mirror": False}


def edge_map(settings=SETTINGS):
    strengths = np.array([[[0.0, 0.1, 0.2], [0.4, 0.6, 1.0]]], dtype=np.float32)
    return EdgeMap(strengths, strengths > 0.15, settings=settings)


def test_strengths_are_replaced_and_lines_stay():
    before = edge_map()
    after = before.calibrated(CURVE)
    assert after.edges == pytest.approx(np.array([[[0, 0.05, 0.1], [0.3, 0.5, 0.5]]]))
    assert after.edges.dtype == np.float32
    assert np.array_equal(after.ridges, before.ridges)
    assert after.settings == SETTINGS | {"calibration": CURVE.digest}
    assert np.array_equal(before.edges, edge_map().edges)


def test_it_comes_back_from_its_file(tmp_path):
    # as JSON has them: lists, and what every image has of its own
    measured = replace(CURVE, made_with=SETTINGS | {"scales": [1.0], "model_size": [448, 592]})
    measured.save(tmp_path / "default.json")
    again = Calibration.load(tmp_path / "default.json")
    assert again == measured
    assert np.array_equal(edge_map().calibrated(again).edges, edge_map().calibrated(CURVE).edges)


@pytest.mark.parametrize(
    ("name", "value"), [("resolution", 384), ("scales", (1.0, 2.0)), ("mirror", True)]
)
def test_other_settings_are_refused(name, value):
    measured = replace(CURVE, made_with=SETTINGS)
    edge_map(SETTINGS | {"dtype": "bfloat16"}).calibrated(measured)  # no such difference
    with pytest.raises(ValueError, match=f"measured on edges with {name} .*, and these have "):
        edge_map(SETTINGS | {name: value}).calibrated(measured)


def test_edges_are_not_calibrated_twice():
    with pytest.raises(ValueError, match=f"calibration None, and these have {CURVE.digest}"):
        edge_map().calibrated(CURVE).calibrated(CURVE)


def test_what_was_measured_on_calibrated_edges_is_not_for_others():
    again = replace(CURVE, made_with={"calibration": CURVE.digest})
    with pytest.raises(ValueError, match="and these have None"):
        edge_map().calibrated(again)
    edge_map().calibrated(CURVE).calibrated(again)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strengths": (), "precision": ()},
        {"strengths": (0.1, 0.2), "precision": (0.1,)},
        {"strengths": (0.2, 0.1), "precision": (0.1, 0.2)},
        {"strengths": (0.1, 0.1), "precision": (0.1, 0.2)},
        {"strengths": (0.1, 0.2), "precision": (0.2, 0.1)},
        {"strengths": (0.0, 0.2), "precision": (0.1, 0.2)},
        {"strengths": (0.1, 1.2), "precision": (0.1, 0.2)},
        {"strengths": (0.1, float("nan")), "precision": (0.1, 0.2)},
    ],
)
def test_curves_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=r"strengths|precision"):
        Calibration(**wrong)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"methods": {}}', '{"strengths": [0.5], "precision": [2]}',
     '{"strengths": ["0.5"], "precision": [1]}', '{"strengths": [0.5], "precision": [NaN]}',
     '{"strengths": [0.5], "precision": [1], "made_with": []}'],
)  # fmt: skip
def test_files_without_one_are_named(tmp_path, content):
    (tmp_path / "c.json").write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match=r"c\.json ") as caught:
        Calibration.load(tmp_path / "c.json")
    assert "\n" not in str(caught.value)
