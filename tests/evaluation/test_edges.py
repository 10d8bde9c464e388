"""Folders of edge maps against one ground truth."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.evaluation import edges as module
from trace_edges.evaluation import evaluate_edge_folders
from trace_edges.evaluation.edges import edge_truth
from trace_edges.formats.ground_truth import open_ground_truth
from trace_edges.formats.truth import Segments
from trace_edges.metrics.protocol import EdgeProtocol

TEN = EdgeProtocol(thresholds=10)


def test_perfect_shifted_and_empty_maps(methods, truth):
    result = evaluate_edge_folders(methods, truth, TEN)
    assert {name: round(s.ods, 2) for name, s in result.scores.items()} == {
        "perfect": 1.0,
        "far off": pytest.approx(0.1, abs=0.1),  # lines of 3 pixels cross the true ones
        "nothing": 0.0,
    }
    assert result.cldice["perfect"] == 1
    assert result.cldice["nothing"] == 0
    assert result.images == ("a", "b", "c")
    assert not result.problems


def test_workers_and_order_change_nothing(methods, squares, tmp_path):
    (tmp_path / "labels").mkdir()
    for seed, name in enumerate("abc"):
        Image.fromarray(squares(seed).astype(np.uint8)).save(tmp_path / "labels" / f"{name}.png")
    truth = open_ground_truth(tmp_path / "labels", "labels")
    alone = evaluate_edge_folders(methods, truth, TEN)
    turned = {name: truth[name] for name in "cba"}
    together = evaluate_edge_folders(dict(reversed(methods.items())), turned, TEN, workers=2)
    for method in methods:
        one, other = alone.scores[method], together.scores[method]
        assert (one.ods, one.ois, one.ap, one.r50) == (other.ods, other.ois, other.ap, other.r50)
        assert alone.cldice[method] == pytest.approx(together.cldice[method])


def test_a_second_run_counts_only_what_changed(methods, truth, tmp_path, monkeypatch):
    counted = []

    def noting(prediction, truth, protocol):
        counted.append(prediction)
        return count(prediction, truth, protocol)

    count = module.edge_counts
    monkeypatch.setattr(module, "edge_counts", noting)
    first = evaluate_edge_folders(methods, truth, TEN, cache=tmp_path / "counts")
    assert len(counted) == 9
    assert evaluate_edge_folders(methods, truth, TEN, cache=tmp_path / "counts") == first
    assert len(counted) == 9
    path = methods["perfect"] / "b.png"
    Image.fromarray(np.asarray(Image.open(path)) // 2).save(path)
    evaluate_edge_folders(methods, truth, TEN, cache=tmp_path / "counts")
    assert len(counted) == 10
    evaluate_edge_folders(methods, truth, EdgeProtocol(thresholds=5), cache=tmp_path / "counts")
    assert len(counted) == 19
    wide = EdgeProtocol(thresholds=5, cldice_dilation=2, interpolate=False)
    evaluate_edge_folders(methods, truth, wide, cache=tmp_path / "counts")
    assert len(counted) == 19  # what comes after the counts does not change them


def test_an_image_that_one_method_cannot_be_scored_on_is_left_out_of_all(methods, truth):
    (methods["perfect"] / "a.png").unlink()
    (methods["nothing"] / "b.png").write_text("no picture", encoding="utf-8")
    result = evaluate_edge_folders(methods, truth, TEN)
    assert result.images == ("c",)
    assert [(p.method, p.name) for p in result.problems] == [("perfect", "a"), ("nothing", "b")]
    assert "holds no edge map of a" in str(result.problems[0])
    assert "b.png cannot be read" in str(result.problems[1])
    for scores in result.scores.values():
        assert list(scores.image_f) == ["c"]


def test_a_map_of_another_size_and_a_negative_are_named(methods, truth):
    Image.new("L", (20, 10)).save(methods["nothing"] / "a.png")
    Image.new("L", (56, 40), 250).save(methods["nothing"] / "b.png")
    result = evaluate_edge_folders(methods, truth, TEN)
    assert "a.png is 20 x 10 pixels, its ground truth 56 x 40" in str(result.problems[0])
    assert "invert it" in str(result.problems[1])


def test_nothing_left_to_score_is_an_error(methods, truth):
    for name in "abc":
        (methods["nothing"] / f"{name}.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(ValueError, match=r"no image.*a\.png cannot be read"):
        evaluate_edge_folders(methods, truth, TEN)


def test_boundaries_that_were_drawn_are_taken_as_drawn():
    drawn = np.zeros((6, 8), dtype=bool)
    drawn[2] = True
    labels, void = np.zeros((6, 8), dtype=np.int32), np.zeros((6, 8), dtype=bool)
    void[5] = True
    given = EdgeProtocol(gt_mode="given", max_distance=0.0)
    truth = edge_truth([Segments(labels, void, drawn)], given)
    np.testing.assert_array_equal(truth.annotations[0], drawn)
    np.testing.assert_array_equal(truth.ignore, void)
    with pytest.raises(ValueError, match="gt_mode 'given'"):
        edge_truth([Segments(labels, void, drawn)], TEN)
    with pytest.raises(ValueError, match="gt_mode 'thin'"):
        edge_truth([Segments(labels, void)], given)


def test_only_what_no_annotator_knows_is_ignored(squares):
    labels, left, top = squares(0), np.zeros((40, 56), dtype=bool), np.zeros((40, 56), dtype=bool)
    left[:, :2], top[:2] = True, True
    protocol = EdgeProtocol(void="ignore", max_distance=0.0)
    truth = edge_truth([Segments(labels, left), Segments(labels, top)], protocol)
    np.testing.assert_array_equal(truth.ignore, left & top)
