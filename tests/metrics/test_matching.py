import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from trace_edges.metrics import matching
from trace_edges.metrics.matching import (
    match_count,
    match_pixels,
    match_pixels_numba,
    match_pixels_scipy,
)


def numba_engine(prediction, ground_truth, max_distance):
    pytest.importorskip("numba")
    return match_pixels_numba(prediction, ground_truth, max_distance)


engines = pytest.mark.parametrize("engine", [numba_engine, match_pixels_scipy])


def optimal_count(prediction, ground_truth, max_distance):
    """Largest matching by the Hungarian method on the dense matrix of usable pairs."""
    apart = np.argwhere(prediction)[:, None] - np.argwhere(ground_truth)[None]
    usable = (apart**2).sum(-1) <= max_distance**2 + 1e-6
    rows, columns = linear_sum_assignment(usable, maximize=True)
    return int(usable[rows, columns].sum())


def row_map(*columns, width=12):
    edges = np.zeros((3, width), dtype=bool)
    edges[1, list(columns)] = True
    return edges


maps = arrays(np.bool_, (9, 11), elements=st.booleans(), fill=st.just(False))


@engines
@settings(max_examples=60, deadline=None)
@given(maps, maps, st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.3, 40.0]))
def test_count_is_that_of_an_optimal_assignment(engine, prediction, ground_truth, max_distance):
    matched, found = engine(prediction, ground_truth, max_distance)
    expected = optimal_count(prediction, ground_truth, max_distance)
    assert matched.sum() == found.sum() == expected
    assert not (matched & ~prediction).any()
    assert not (found & ~ground_truth).any()
    assert optimal_count(matched, found, max_distance) == expected


@engines
@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_larger_random_maps(engine, density):
    rng = np.random.default_rng(7)
    prediction, ground_truth = rng.random((2, 40, 50)) < density
    for max_distance in (1.0, 2.3, 4.3):
        matched, _ = engine(prediction, ground_truth, max_distance)
        assert matched.sum() == optimal_count(prediction, ground_truth, max_distance)


@engines
def test_nearest_first_is_not_enough(engine):
    # 3 lies nearest to 2, but only if it takes 5 can 0 be paired too.
    matched, found = engine(row_map(0, 3), row_map(2, 5), 2.0)
    np.testing.assert_array_equal(matched, row_map(0, 3))
    np.testing.assert_array_equal(found, row_map(2, 5))


@engines
@pytest.mark.parametrize(("predicted", "nearest"), [((3, 6), 6), ((4, 7), 4), ((1, 2, 4, 8), 4)])
def test_one_true_pixel_pairs_with_the_nearest_predicted_pixel_only(engine, predicted, nearest):
    matched, found = engine(row_map(*predicted), row_map(5, 11), 2.5)
    np.testing.assert_array_equal(matched, row_map(nearest))
    np.testing.assert_array_equal(found, row_map(5))


@engines
def test_the_distance_is_inclusive_and_euclidean(engine):
    def apart(dy, dx):
        prediction, ground_truth = np.zeros((2, 9, 9), dtype=bool)
        prediction[1, 1] = ground_truth[1 + dy, 1 + dx] = True
        return engine(prediction, ground_truth, 5.0)[0].any()

    assert apart(3, 4)
    assert apart(0, 5)
    assert not apart(4, 4)


@engines
def test_empty_maps_match_nothing(engine):
    empty, line = row_map(), row_map(1, 2, 3)
    for pair in ((empty, line), (line, empty), (empty, empty)):
        matched, found = engine(*pair, 4.0)
        assert not matched.any()
        assert not found.any()


def test_a_pixel_at_the_frame_does_not_reach_round_it():
    assert match_count(row_map(0), row_map(11), 3.0) == 0


def test_without_numba_scipy_matches(monkeypatch):
    monkeypatch.setattr(matching.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(matching, "match_pixels_numba", None)
    assert match_count(row_map(0, 3), row_map(2, 5), 2.0) == 2


def test_bad_input_is_named():
    line = row_map(1)
    with pytest.raises(TypeError, match="ground truth must be a boolean map, not uint8"):
        match_pixels(line, line.astype(np.uint8), 1.0)
    with pytest.raises(ValueError, match=r"\(3, 12\) and ground truth \(3, 11\)"):
        match_pixels(line, line[:, 1:], 1.0)
    for distance in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="max_distance"):
            match_pixels(line, line, distance)


def test_with_numba_nothing_else_matches(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(matching, "match_pixels_scipy", None)
    assert match_count(row_map(0, 3), row_map(2, 5), 2.0) == 2


@engines
@pytest.mark.parametrize(("distance", "count"), [(11.0, 1), (10.9, 0), (1e9, 1)])
def test_a_distance_may_span_the_longer_side(engine, distance, count):
    matched, _ = engine(row_map(0), row_map(11), distance)
    assert matched.sum() == count
    upright = engine(row_map(0).T.copy(), row_map(11).T.copy(), distance)
    assert upright[0].sum() == count


@engines
def test_maps_may_lie_in_memory_by_columns(engine):
    """As those from a .mat file do."""
    prediction, ground_truth = (np.asfortranarray(row_map(*at)) for at in ((0, 3), (2, 5)))
    matched, found = engine(prediction, ground_truth, 2.0)
    np.testing.assert_array_equal(matched, prediction)
    np.testing.assert_array_equal(found, ground_truth)


@engines
def test_rounding_does_not_shorten_the_distance(engine):
    """29 % of 100 px are 28.999999999999996 px in floating point, which must reach 29."""
    assert 0.29 * 100 < 29
    matched, _ = engine(row_map(0, width=30), row_map(29, width=30), 0.29 * 100)
    assert matched.sum() == 1


@engines
def test_a_chain_is_shifted_along_its_whole_length(engine):
    """Each predicted pixel but the first lies nearest to a true one that its left neighbour needs.

    Predicted 0, 3, 6 .. 27 and true 2, 5, 8 .. 29, within 2 px: every pixel at 3k can have 3k + 2,
    or 3k - 1, which is nearer. The first can only have 2, so all must take the further one.
    """
    predicted, true = range(0, 30, 3), range(2, 30, 3)
    matched, found = engine(row_map(*predicted, width=30), row_map(*true, width=30), 2.0)
    assert (matched.sum(), found.sum()) == (10, 10)
