from dataclasses import replace

import numpy as np

from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.regions import instances_from_edges
from trace_edges.instances.scores import WEIGHTS, node_scores, properties
from trace_edges.results import EdgeMap

# A wall of two columns divides 10 x 22 px into halves of 110 px.
WALL = np.zeros((10, 22), dtype=np.float32)
WALL[:, 10:12] = 0.4


def test_the_properties_of_two_halves_and_of_the_whole():
    tree = build_hierarchy(WALL, area_power=0.0)
    assert tree.leaves == 2
    share, square, strength, frame, compact = properties(tree).T
    np.testing.assert_allclose(np.exp(share), [0.5, 0.5, 1])
    np.testing.assert_allclose(square, share**2)
    np.testing.assert_allclose(np.exp(strength), [0.401, 0.401, 1.001], rtol=1e-6)
    outline = np.array([42, 42, 64])  # a half is 10 x 11 px
    np.testing.assert_allclose(frame, [32 / 42, 32 / 42, 1])
    np.testing.assert_allclose(np.exp(compact), 4 * np.pi * tree.areas / outline**2)


def test_the_outline_of_a_node_is_its_boundary_to_others():
    edges = np.random.default_rng(3).random((30, 40)).astype(np.float32)
    tree = build_hierarchy(edges)
    for strength in (0.1, 0.3):
        nodes = tree.nodes_at(strength)
        drawn = nodes[tree.labels]
        for node in np.unique(nodes)[:20]:
            mask = drawn == node
            sides = sum(np.count_nonzero(np.diff(mask, axis=axis)) for axis in (0, 1))
            assert tree.outlines[node] == sides
    assert tree.outlines[-1] == 0


def test_a_score_is_the_logistic_of_the_weighted_properties():
    tree = build_hierarchy(WALL)
    for origin, (constant, *weights) in WEIGHTS.items():
        odds = constant + properties(tree) @ weights
        scores = node_scores(replace(tree, origin=origin))
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-odds)))
        _, _, strength, frame, compactness = weights
        assert strength > 0
        assert frame < 0
        assert compactness > 0


def test_scores_are_of_what_drew_the_edges():
    drawn = EdgeMap(WALL[None], WALL[None] > 0, settings={"backbone": "trace-mini"})
    tree = build_hierarchy(WALL, origin="detector")
    found = instances_from_edges(drawn, 0.1)
    np.testing.assert_array_equal(found.scores, node_scores(tree)[:2].astype(np.float32))
    assert (node_scores(tree) != node_scores(build_hierarchy(WALL))).all()
