"""No result depends on the order, the strides or the byte order of an array."""

import numpy as np
import pytest

from trace_edges.formats.edge_maps import read_edge_map, write_edge_map
from trace_edges.formats.labels import read_masks, write_label_png
from trace_edges.images import load_image, resize_image
from trace_edges.metrics.boundaries import boundaries_from_labels, ignored_region
from trace_edges.metrics.edges import evaluate_edges
from trace_edges.metrics.lines import suppress_non_maxima, thin, thin_numba
from trace_edges.metrics.matching import match_count, match_pixels_scipy
from trace_edges.results import InstanceMasks

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, (6, 7)).repeat(5, 0).repeat(4, 1).astype(np.int32)
LINES = boundaries_from_labels(LABELS, "thick")
OTHER = np.roll(LINES, 1, axis=1)
SMOOTH = np.clip(RNG.random((30, 28)), 0, 1).astype(np.float32)
PIXELS = RNG.integers(0, 256, (30, 28, 3)).astype(np.uint8)


def reversed_strides(array):
    return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]


def sliced(array):
    wide = np.zeros([2 * side for side in array.shape], array.dtype)
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    return wide[tuple(slice(None, None, 2) for _ in array.shape)]


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def swapped_bytes(array):
    return array.astype(array.dtype.newbyteorder(">"))


LAYOUTS = [np.asfortranarray, sliced, reversed_strides, read_only, swapped_bytes]


def saved_labels(labels, folder):
    write_label_png(labels, folder / "a.png")
    return read_masks(folder / "a.png")


def saved_edges(edges, folder):
    write_edge_map(edges, folder / "a.npy", "npy")
    return read_edge_map(folder / "a.npy")


FUNCTIONS = {
    "thin": (thin, [LINES]),
    "thin_numba": (thin_numba, [LINES]),
    "suppress_non_maxima": (suppress_non_maxima, [SMOOTH]),
    "match_count": (lambda a, b: match_count(a, b, 2.0), [LINES, OTHER]),
    "match_pixels_scipy": (lambda a, b: match_pixels_scipy(a, b, 1.0)[0].sum(), [LINES, OTHER]),
    "boundaries_from_labels": (boundaries_from_labels, [LABELS]),
    "boundaries, void": (
        lambda labels, void: boundaries_from_labels(labels, "thin", void, "nearest"),
        [LABELS, LABELS == 3],
    ),
    "ignored_region": (lambda void: ignored_region(void, 2.0), [LABELS == 3]),
    "evaluate_edges": (lambda a, b: evaluate_edges([a], [b]).ods, [SMOOTH, LINES]),
    "evaluate_edges, uint16": (
        lambda a, b: evaluate_edges([a], [b]).ods,
        [np.rint(SMOOTH * 65535).astype(np.uint16), LINES],
    ),
    "load_image": (load_image, [PIXELS]),
    "load_image, 16 bits": (load_image, [PIXELS.astype(np.uint16) * 257]),
    "load_image, floats": (load_image, [PIXELS / 255]),
    "resize_image": (lambda pixels: resize_image(pixels, (20, 16)), [PIXELS]),
    "InstanceMasks.from_labels": (lambda a: InstanceMasks.from_labels(a).label_map, [LABELS]),
    "InstanceMasks": (
        lambda a: InstanceMasks(a, np.ones(2, np.float32)).label_map,
        [np.stack([LABELS == 1, LINES])],
    ),
    "write_label_png": (saved_labels, [LABELS, ...]),
    "write_edge_map": (saved_edges, [SMOOTH, ...]),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_layout_of_an_array_changes_no_result(name, layout, tmp_path):
    function, arguments = FUNCTIONS[name]
    plain = [tmp_path if one is ... else one.copy() for one in arguments]
    other = [tmp_path if one is ... else layout(one) for one in arguments]
    np.testing.assert_array_equal(function(*other), function(*plain))
    for given, was in zip(other, arguments, strict=True):
        if was is not ...:
            np.testing.assert_array_equal(given, was)  # and nothing of the caller's is changed


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_half_and_double_precision_give_the_scores_of_single(dtype):
    steps = (np.rint(SMOOTH * 64) / 64).astype(np.float32)  # which half precision holds
    known = evaluate_edges([steps], [LINES]).ods
    assert evaluate_edges([steps.astype(dtype)], [LINES]).ods == known
