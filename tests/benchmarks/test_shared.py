"""Helpers that the benchmarks share: another image's edges, bootstraps, records that are kept."""

import numpy as np
import pytest
from PIL import Image

from benchmarks._shared.edges import draw_peers, fit, following, read_edges
from benchmarks._shared.reports import (
    RESAMPLES,
    draws,
    interval,
    markdown,
    percent_interval,
    remembered,
    same_settings,
)
from benchmarks._shared.timing import median, stopwatch


def test_the_control_is_the_next_image_and_the_last_takes_the_first():
    assert following(["a", "b", "c"]) == {"a": "b", "b": "c", "c": "a"}
    assert following([]) == {}


def test_other_edges_are_cut_or_repeated_and_not_resized():
    edges = np.arange(6).reshape(2, 3)
    assert fit(edges, (1, 2)).tolist() == [[0, 1]]
    assert fit(edges, (3, 4)).tolist() == [[0, 1, 2, 0], [3, 4, 5, 3], [0, 1, 2, 0]]


def test_edges_come_from_folders_and_peers(tmp_path):
    step = np.zeros((20, 20), dtype=np.uint8)
    step[:, 10:] = 200
    Image.fromarray(step).save(tmp_path / "photo.png")
    (tmp_path / "maps").mkdir()
    Image.fromarray(step).save(tmp_path / "maps" / "photo.edges.png")
    read = read_edges([f"mine={tmp_path / 'maps'}"], ["photo"])
    assert read["mine"]["photo"].max() == pytest.approx(200 / 255)
    drawn = draw_peers(["canny"], {"photo": tmp_path / "photo.png"})["canny"]["photo"]
    columns = np.flatnonzero(drawn.max(axis=0))
    assert set(columns) <= {9, 10}
    assert len(columns)


def test_every_resampling_draws_as_many_images_as_there_are():
    drawn = draws(7)
    assert drawn.shape == (RESAMPLES, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert (drawn == draws(7)).all()
    assert interval(np.arange(1001)) == [25, 975]
    assert percent_interval((0.01, 0.02), 1) == "**+1.0 to +2.0**"
    assert percent_interval((-0.01, 0.02), 2) == "-1.00 to +2.00"


def test_what_is_there_is_not_made_again_and_other_inputs_are_refused(tmp_path):
    made = []

    def make(key):
        made.append(key)
        return len(made)

    assert remembered(tmp_path / "a.json", ["x"], make) == {"x": 1}
    assert remembered(tmp_path / "a.json", ["x", "y"], make) == {"x": 1, "y": 2}
    assert made == ["x", "y"]
    same_settings({"a": (1, 2)}, tmp_path)
    same_settings({"a": [1, 2]}, tmp_path)
    with pytest.raises(SystemExit, match="begun with other inputs"):
        same_settings({"a": [1, 3]}, tmp_path)


def test_a_table_is_markdown():
    assert markdown(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | --- |\n| 1 | x |\n"


def test_a_stopwatch_gives_the_result_and_the_first_call_does_not_count():
    ticks = iter([0, 100, 100, 101, 200, 203, 300, 302])
    calls = []
    assert median(lambda: calls.append(1), 3, clock=lambda: next(ticks)) == 2
    assert len(calls) == 4
    seconds, result = stopwatch(lambda: "done")
    assert result == "done"
    assert seconds >= 0
