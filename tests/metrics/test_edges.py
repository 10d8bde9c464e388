import json
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch

from trace_edges.metrics import counts as module
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.counts import EdgeTruth, edge_counts
from trace_edges.metrics.edges import evaluate_edges
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.results import EdgeMap

FIVE = EdgeProtocol(thresholds=5)


def line(column, shape=(30, 40)):
    edges = np.zeros(shape, dtype=bool)
    edges[:, column] = True
    return edges


def blobs(seed, n=8, shape=(48, 64)):
    """A label map of n cells, and a noisy prediction of its boundary."""
    rng = np.random.default_rng(seed)
    centres = rng.random((n, 2)) * shape
    at = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1)[:, :, None]
    truth = boundaries_from_labels(((at - centres) ** 2).sum(-1).argmin(-1))
    prediction = np.roll(truth, 1, axis=0) * rng.uniform(0.3, 1, shape)
    return np.maximum(prediction, 0.5 * (rng.random(shape) < 0.05)), truth


# Two images of isolated pixels, thresholds 1/4, 2/4, 3/4, pixels must coincide.
# One finds its four pixels weakly. The other finds its four strongly, and eight wrong ones weakly.
#                    matched, predicted, true of the first | of the second | pooled
# threshold 1/4:         4 / 4 / 4   F 1                   | 4 / 12 / 4  F 1/2  | 8 / 16 / 8  F 2/3
# threshold 2/4, 3/4:    0 / 0 / 4   F 0                   | 4 /  4 / 4  F 1    | 4 /  4 / 8  F 2/3
EXACT = EdgeProtocol(thresholds=3, max_distance=0.0, interpolate=False)


def two_images():
    truth = np.zeros((9, 9), dtype=bool)
    truth[0, ::2][:4] = True
    weak = np.where(truth, 0.3, 0.0)
    strong = np.where(truth, 0.9, 0.0)
    strong[4, ::2][:4] = strong[6, ::2][:4] = 0.3
    return {"weak": weak, "strong": strong}, {"weak": truth, "strong": truth}


def test_hand_worked_counts():
    predictions, truths = two_images()
    counts = edge_counts(predictions["strong"], [truths["strong"]], EXACT)
    assert counts.matched_pred.tolist() == [4, 4, 4]
    assert counts.total_pred.tolist() == [12, 4, 4]
    assert counts.matched_gt.tolist() == [4, 4, 4]
    assert counts.total_gt.tolist() == [4, 4, 4]


def test_hand_worked_ods_ois_ap():
    scores = evaluate_edges(*two_images(), protocol=EXACT)
    assert scores.precision == pytest.approx([1 / 2, 1, 1])
    assert scores.recall == pytest.approx([1, 1 / 2, 1 / 2])
    assert scores.ods == pytest.approx(2 / 3)
    assert (scores.ods_threshold, scores.ods_precision, scores.ods_recall) == (0.25, 0.5, 1.0)
    assert scores.ois == pytest.approx(1.0)
    assert scores.image_f == pytest.approx({"weak": 1.0, "strong": 1.0})
    # Precision falls from 1 to 1/2 over the 51 samples of recall from 0.5 to 1.
    assert scores.ap == pytest.approx(51 * 0.75 / 100)
    assert scores.r50 == pytest.approx(1.0)


def test_interpolation_finds_the_point_between_two_thresholds():
    scores = evaluate_edges(
        *two_images(), protocol=EdgeProtocol(thresholds=3, max_distance=0.0, interpolate=True)
    )
    # Halfway between (P, R) = (1/2, 1) and (1, 1/2) both are 3/4.
    assert scores.ods == pytest.approx(0.75, abs=1e-4)
    assert scores.ods_threshold == pytest.approx(0.375, abs=2e-3)
    assert scores.ois == pytest.approx(1.0)


def test_a_perfect_prediction_scores_one():
    _, truth = blobs(0)
    scores = evaluate_edges([truth.astype(np.float32)], [truth])
    assert scores.ods == scores.ois == scores.r50 == pytest.approx(1.0)
    assert scores.image_f == pytest.approx({"0": 1.0})
    assert len(scores.thresholds) == len(scores.precision) == len(scores.recall) == 99


def test_an_empty_prediction_scores_nothing():
    _, truth = blobs(0)
    scores = evaluate_edges([np.zeros(truth.shape)], [truth])
    assert scores.ods == scores.ois == scores.ap == scores.r50 == 0.0


def test_an_image_without_true_edges_scores_nothing_and_costs_precision():
    _, truth = blobs(0)
    scores = evaluate_edges([truth * 1.0, truth * 1.0], [truth, np.zeros_like(truth)])
    assert scores.image_f == pytest.approx({"0": 1.0, "1": 0.0})
    assert scores.ods_precision == pytest.approx(0.5)
    assert scores.ods_recall == pytest.approx(1.0)


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (3, 1.0), (4, 0.0)])
def test_tolerance_is_a_fraction_of_the_diagonal(shift, expected):
    # The diagonal of (30, 40) is 50, so 0.06 of it is 3 pixels.
    protocol = EdgeProtocol(thresholds=1, max_distance=0.06)
    scores = evaluate_edges([line(20 + shift) * 1.0], [line(20)], protocol=protocol)
    assert scores.ods == pytest.approx(expected)


def test_thinning_makes_one_line_of_a_band():
    band = (line(19) | line(20) | line(21)) * 1.0
    thick = evaluate_edges([band], [line(20)], protocol=EdgeProtocol(thresholds=1, thin=False))
    assert thick.ods_precision == pytest.approx(1 / 3)
    thinned = evaluate_edges([band], [line(20)], protocol=EdgeProtocol(thresholds=1))
    assert thinned.ods_precision == pytest.approx(1.0)


def test_a_predicted_pixel_may_match_any_annotator_and_recall_sums_over_them():
    one, two, both = (np.zeros((9, 9), dtype=bool) for _ in range(3))
    one[1, 1] = two[7, 7] = both[1, 1] = both[7, 7] = True
    prediction = np.where(both, 1.0, 0.0)
    prediction[4, 4] = 1.0
    counts = edge_counts(prediction, [both, one, two], EdgeProtocol(thresholds=1))
    assert counts.matched_pred.tolist() == [2]
    assert counts.total_pred.tolist() == [3]
    assert counts.matched_gt.tolist() == counts.total_gt.tolist() == [4]


def test_counts_add_up():
    first, second = (edge_counts(p, [t], FIVE) for p, t in (blobs(1), blobs(2)))
    total = first + second
    np.testing.assert_array_equal(total.matched_pred, first.matched_pred + second.matched_pred)
    np.testing.assert_array_equal(total.total_gt, first.total_gt + second.total_gt)


def test_integers_stand_for_their_share_of_the_largest():
    prediction, truth = blobs(3)
    eight = np.round(prediction * 255).astype(np.uint8)
    expected = evaluate_edges([eight / 255], [truth], protocol=FIVE)
    assert evaluate_edges([eight], [truth], protocol=FIVE) == expected
    assert evaluate_edges([eight.astype(np.uint16) * 257], [truth], protocol=FIVE) == expected


def test_a_strength_at_the_threshold_is_an_edge_in_every_precision():
    for dtype in (np.float32, np.float64):
        prediction = np.where(line(5), 0.7, 0.0).astype(dtype)
        counts = edge_counts(prediction, [line(5)], EdgeProtocol(thresholds=9))
        assert counts.total_pred.tolist() == [30] * 7 + [0] * 2


def test_equal_binary_maps_are_matched_once(monkeypatch):
    matched = []

    def counting(edges, *rest):
        matched.append(int(edges.sum()))
        return match(edges, *rest)

    match = module.match_pixels
    monkeypatch.setattr(module, "match_pixels", counting)
    prediction = np.where(line(5), 0.5, 0.0)
    counts = edge_counts(prediction, [line(5)])
    assert matched == [30, 0]
    assert counts.matched_pred.tolist() == [30] * 50 + [0] * 49


def test_scores_depend_neither_on_order_nor_on_workers():
    images = {f"image{seed}": blobs(seed) for seed in range(4)}
    predictions, truths = ({name: pair[i] for name, pair in images.items()} for i in (0, 1))
    expected = evaluate_edges(predictions, truths, protocol=FIVE)
    assert 0 < expected.ods < 1
    backwards = dict(reversed(predictions.items()))
    assert evaluate_edges(backwards, truths, protocol=FIVE) == expected
    assert evaluate_edges(predictions, truths, protocol=FIVE, workers=2) == expected


def test_entries_may_be_functions_that_load_when_due(tmp_path):
    prediction, truth = blobs(5)
    np.save(tmp_path / "prediction.npy", prediction)
    loaders = [partial(np.load, tmp_path / "prediction.npy")] * 2
    expected = evaluate_edges([prediction] * 2, [truth] * 2, protocol=FIVE)
    for workers in (1, 2):
        scores = evaluate_edges(loaders, [[truth], truth], protocol=FIVE, workers=workers)
        assert scores == expected


def test_progress_counts_images():
    prediction, truth = blobs(6)
    done = []
    evaluate_edges([prediction] * 3, [truth] * 3, protocol=FIVE, progress=done.append)
    assert done == [1, 2, 3]


def test_what_is_predicted_where_nothing_is_known_is_not_counted():
    """Three lines: one true, one false, one false in the ignored part, which drops out."""
    truth, ignore = line(5), np.zeros((30, 40), dtype=bool)
    ignore[:, 30:] = True
    prediction = (truth | line(20) | line(35)).astype(float)
    everything = edge_counts(prediction, [truth], FIVE)
    known = edge_counts(prediction, EdgeTruth([truth], ignore), FIVE)
    assert set(everything.total_pred) == {90}
    assert set(known.total_pred) == {60}
    assert set(known.matched_pred) == set(known.matched_gt) == {30}


def test_what_matches_in_the_ignored_part_still_counts():
    truth = line(5)
    counts = edge_counts(truth.astype(float), EdgeTruth([truth], np.ones_like(truth)), FIVE)
    assert set(counts.matched_pred) == set(counts.total_pred) == {30}


def test_suppression_comes_before_the_thresholds():
    """A smooth ridge, seven pixels wide at the lowest threshold: with it one line, without three
    lines' worth of pixels to thin."""
    columns = np.arange(40)
    ridge = np.broadcast_to(np.exp(-(((columns - 20) / 3) ** 2)), (30, 40))
    protocol = EdgeProtocol(thresholds=5, thin=False, nms="ridges")
    assert set(edge_counts(ridge, [line(20)], protocol).total_pred) == {30}


def test_scores_and_protocol_can_be_written_as_json():
    prediction, truth = blobs(6)
    written = json.loads(json.dumps(asdict(evaluate_edges([prediction], [truth], protocol=FIVE))))
    assert written["protocol"] == {
        "thresholds": 5,
        "max_distance": 0.0075,
        "thin": True,
        "nms": "none",
        "gt_mode": "thin",
        "void": "edge",
        "interpolate": True,
        "cldice_dilation": 0,
    }
    assert written["thresholds"] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_image_is_named(workers):
    prediction, truth = blobs(6)
    with pytest.raises(ValueError, match=r"image cat: a prediction must lie in \[0, 1\]"):
        evaluate_edges({"cat": prediction * 2}, {"cat": truth}, workers=workers)


@pytest.mark.parametrize(
    ("prediction", "truth", "error", "words"),
    [
        (line(1), line(1), TypeError, "float, uint8 or uint16, not bool"),
        (np.full((30, 40), np.nan), line(1), ValueError, r"lie in \[0, 1\]"),
        (np.zeros((1, 30, 40)), line(1), ValueError, r"one map \(h, w\), not \(1, 30, 40\)"),
        (np.zeros((30, 41)), line(1), ValueError, "of one size"),
        (np.zeros((30, 40)), line(1).astype(np.int64), TypeError, "ground truth must be a boolean"),
        (np.zeros((30, 40)), [], ValueError, "no annotation"),
    ],
)
def test_bad_maps(prediction, truth, error, words):
    with pytest.raises(error, match=words):
        evaluate_edges([prediction], [truth])


def test_collections_must_belong_together():
    with pytest.raises(ValueError, match="image 1 lacks its prediction or its ground truth"):
        evaluate_edges([line(1) * 1.0], [line(1), line(2)])
    with pytest.raises(ValueError, match="image b lacks"):
        evaluate_edges({"a": line(1) * 1.0}, {"a": line(1), "b": line(2)})
    with pytest.raises(ValueError, match="no image"):
        evaluate_edges([], [])
    with pytest.raises(ValueError, match="workers"):
        evaluate_edges([], [], workers=0)


@pytest.mark.parametrize(
    "wrong", [{"thresholds": 0}, {"max_distance": 4.3}, {"max_distance": -0.1}, {"gt_mode": "fat"}]
)
def test_bad_protocols(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EdgeProtocol(**wrong)


def test_a_result_is_scored_by_its_thin_edges():
    """Its ridge is the truth; the band beside it would be wrong at every threshold."""
    edges = np.full((2, 30, 40), 0.9, dtype=np.float32)
    out = EdgeMap(edges, np.stack([line(9), line(20)]))
    truths = [line(9), line(20)]
    assert evaluate_edges(out, truths, protocol=FIVE).ods == 1
    assert evaluate_edges([out[0], out[1]], truths, protocol=FIVE).ods == 1
    assert evaluate_edges(out[1], line(20), protocol=FIVE).ods == 1
    assert evaluate_edges(out[1], line(9), protocol=FIVE).ods == 0


def test_maps_may_be_tensors_and_one_may_come_alone():
    edges = np.zeros((20, 30), dtype=np.float32)
    edges[:, 10] = 0.8
    strength, truth = torch.tensor(edges), torch.tensor(edges > 0)
    for given in ((strength, truth), ([strength], [truth]), (edges, [[truth, truth]])):
        assert evaluate_edges(*given).ods == 1
