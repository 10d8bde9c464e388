"""Results refuse what does not fit together, and come back from disk as they were."""

import dataclasses

import numpy as np
import pytest

from trace_edges.results import EdgeMap, Emergence

STEPS = np.array([0, 99, 199])
SETTINGS = {"refine": 2, "timestep": None, "backbone": "trace-mini", "half_edge": 0.5}


def emergence(n=3):
    curve = np.random.default_rng(0).random((n, 2)).astype(np.float32)
    return Emergence(STEPS, curve, np.array([99, 199, 0])[:n])


def edge_map(**changes):
    random = np.random.default_rng(1)
    parts = {
        "edges": random.random((3, 5, 7)).astype(np.float32),
        "ridges": random.random((3, 5, 7)) > 0.5,
        "raw": random.random((3, 2, 3)).astype(np.float32),
        "emergence": emergence(),
        "settings": SETTINGS,
    }
    return EdgeMap(**parts | changes)


def assert_same(one, other):
    for name in ("edges", "ridges", "raw"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    for name in ("timesteps", "curve", "timestep"):
        a, b = getattr(one.emergence, name), getattr(other.emergence, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    assert one.settings == other.settings


def with_edge(value):
    edges = np.full((3, 5, 7), 0.5, np.float32)
    edges[1, 2, 3] = value
    return edges


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"edges": np.zeros((5, 7), np.float32)}, r"edges \(5, 7\) and ridges \(3, 5, 7\)"),
        ({"ridges": np.zeros((3, 5, 8), bool)}, r"ridges \(3, 5, 8\) must both be \(N, H, W\)"),
        ({"raw": np.zeros((2, 2, 3), np.float32)}, "3 edges and 2 raw maps"),
        ({"emergence": emergence(2)}, "3 edges and 2 emergence points"),
        ({"edges": with_edge(1.001)}, r"must lie in \[0, 1\]"),
        ({"edges": with_edge(-0.001)}, r"must lie in \[0, 1\]"),
        ({"edges": with_edge(np.nan)}, "no NaN"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        edge_map(**changes)


def test_emergence_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2\), got \(1, 3\)"):
        Emergence(STEPS, np.zeros((1, 3), np.float32), np.array([99]))
    with pytest.raises(ValueError, match=r"timestep \[100\] was not visited"):
        Emergence(STEPS, np.zeros((1, 2), np.float32), np.array([100]))


def test_both_ends_of_the_range_are_allowed():
    assert edge_map(edges=with_edge(1)).edges.max() == 1
    assert edge_map(edges=with_edge(0)).edges.min() == 0


def test_results_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        edge_map().edges = None


@pytest.mark.parametrize("index", [0, 2, -1, -3])
def test_one_image_is_taken_out(index):
    whole = edge_map()
    one = whole[index]
    assert len(one) == 1
    assert np.array_equal(one.edges[0], whole.edges[index])
    assert np.array_equal(one.ridges[0], whole.ridges[index])
    assert np.array_equal(one.raw[0], whole.raw[index])
    assert np.array_equal(one.emergence.curve[0], whole.emergence.curve[index])
    assert one.emergence.timestep.tolist() == [whole.emergence.timestep[index]]
    assert one.settings == SETTINGS


@pytest.mark.parametrize("index", [3, -4])
def test_there_is_no_image_behind_the_last(index):
    with pytest.raises(IndexError):
        edge_map()[index]


def test_iteration_ends():
    whole = edge_map()
    ones = [one for one, _ in zip(whole, range(10), strict=False)]
    assert len(ones) == len(whole) == 3
    assert np.array_equal(np.concatenate([one.edges for one in ones]), whole.edges)


def test_thin_is_the_edges_on_the_ridges():
    edges = np.array([[[0.2, 0.4, 0.6]]] * 3, np.float32)
    ridges = np.array([[[True, False, True]]] * 3)
    thin = edge_map(edges=edges, ridges=ridges).thin
    assert thin.dtype == np.float32
    assert thin[0].tolist() == [[np.float32(0.2), 0, np.float32(0.6)]]


@pytest.mark.parametrize("name", ["out.npz", "out", "out.edges"])
def test_what_is_saved_is_loaded(tmp_path, name):
    saved = edge_map()
    saved.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert_same(EdgeMap.load(tmp_path / name), saved)
    assert_same(EdgeMap.load(str(tmp_path / name)), saved)


def array_file(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def archive(path):
    with path.open("wb") as file:
        np.savez(file, edges=np.zeros((1, 2, 2)))


def pickled(path):
    with path.open("wb") as file:
        np.save(file, np.array([{}]), allow_pickle=True)


def truncated(path):
    edge_map().save(path)
    path.write_bytes(path.read_bytes()[:-100])


def damaged(path):
    edge_map().save(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 4
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("a text", encoding="utf-8"),
        lambda path: path.write_bytes(b""),
        lambda path: path.mkdir(),
        array_file,
        archive,
        pickled,
        truncated,
        damaged,
    ],
    ids=["text", "empty", "folder", "array", "other archive", "pickle", "truncated", "damaged"],
)
def test_other_files_are_refused_by_name(tmp_path, write):
    path = tmp_path / "picture"
    write(path)
    with pytest.raises(ValueError, match="is not an edge map saved by trace-edges") as caught:
        EdgeMap.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        EdgeMap.load(tmp_path / "nowhere")
