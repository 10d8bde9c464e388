import numpy as np
import pytest
from scipy.linalg import eigh

from trace_edges.instances.maskcut import second_eigenvector


def graph(n, seed=0, dtype=np.float64):
    """Random weights between n points, falling with their distance."""
    at = np.random.default_rng(seed).random((n, 2))
    return np.exp(-10 * ((at[:, None] - at) ** 2).sum(-1)).astype(dtype)


@pytest.mark.parametrize("n", [3, 10, 60])
def test_it_is_the_second_vector_of_the_dense_problem(n):
    weights = graph(n)
    degrees = np.diag(weights.sum(axis=1))
    _, vectors = eigh(degrees - weights, degrees)
    expected = vectors[:, 1] / np.linalg.norm(vectors[:, 1])
    expected *= np.sign(expected[np.abs(expected).argmax()])
    np.testing.assert_allclose(second_eigenvector(weights), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_groups_are_cut_apart(dtype):
    """Two groups of weight 1 inside and 1e-5 between: one sign each, and constant in each."""
    group = np.arange(50) < 20
    weights = np.where(group[:, None] == group, 1, 1e-5).astype(dtype)
    vector = second_eigenvector(weights)
    assert set(np.sign(vector[group])) == {1.0}  # the smaller group has the larger entries
    assert set(np.sign(vector[~group])) == {-1.0}
    assert np.ptp(vector[group]) < 1e-4
    assert np.ptp(vector[~group]) < 1e-4


def test_two_nodes_are_cut_apart():
    vector = second_eigenvector(np.array([[1.0, 0.5], [0.5, 1.0]]))
    np.testing.assert_allclose(np.abs(vector), np.sqrt(0.5))
    assert vector[0] == pytest.approx(-vector[1])


def test_the_same_graph_gives_the_same_vector():
    weights = graph(80, seed=1)
    np.testing.assert_array_equal(second_eigenvector(weights), second_eigenvector(weights))


@pytest.mark.parametrize("weights", [np.ones((1, 1)), np.diag([1.0, 1.0, 0.0])])
def test_what_cannot_be_cut_is_refused(weights):
    with pytest.raises(ValueError, match="two nodes or more, each with some weight"):
        second_eigenvector(weights)
