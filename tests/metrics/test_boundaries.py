import numpy as np
import pytest
from skimage.morphology import thin

from trace_edges.metrics.boundaries import boundaries_from_labels, ignored_region


def halves(left, right):
    labels = np.full((4, 6), left)
    labels[:, 3:] = right
    return labels


def columns(*marked):
    edges = np.zeros((4, 6), dtype=bool)
    edges[:, list(marked)] = True
    return edges


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("thin", (2,)), ("right_down", (2,)), ("inner", (2, 3)), ("thick", (2, 3))],
)
def test_two_touching_halves(mode, expected):
    np.testing.assert_array_equal(
        boundaries_from_labels(halves(1, 2), mode=mode), columns(*expected)
    )


def test_void_is_a_label_but_background_of_inner():
    for mode in ("thin", "right_down"):
        np.testing.assert_array_equal(boundaries_from_labels(halves(0, 7), mode=mode), columns(2))
    np.testing.assert_array_equal(boundaries_from_labels(halves(0, 7), mode="inner"), columns(3))


def test_thin_lines_survive_thinning_and_right_down_corners_do_not():
    labels = np.zeros((40, 40), dtype=np.int64)
    y, x = np.mgrid[:40, :40]
    labels[(y - 20) ** 2 + (x - 18) ** 2 < 150] = 3
    labels[y > x + 9] = 5
    thinned, one_sided = (boundaries_from_labels(labels, m) for m in ("thin", "right_down"))
    np.testing.assert_array_equal(thin(thinned), thinned)
    assert not (thinned & ~one_sided).any()
    assert thin(one_sided).sum() < one_sided.sum()


@pytest.mark.parametrize("mode", ["thin", "right_down", "inner", "thick"])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.int32, np.uint32, np.int64])
def test_every_label_type(mode, dtype):
    edges = boundaries_from_labels(halves(0, 1).astype(dtype), mode=mode)
    assert edges.dtype == np.bool_
    assert edges.any()
    assert not boundaries_from_labels(np.ones((4, 6), dtype=dtype), mode=mode).any()


def test_large_identifiers_are_kept_apart():
    assert boundaries_from_labels(halves(2**24 + 1, 2**24 + 2), mode="thick").any()


def test_bad_input_is_named():
    with pytest.raises(TypeError, match="integers, not float64"):
        boundaries_from_labels(np.zeros((4, 6)))
    with pytest.raises(ValueError, match=r"\(4, 6, 3\)"):
        boundaries_from_labels(np.zeros((4, 6, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="choose from thin, right_down, inner, thick"):
        boundaries_from_labels(halves(0, 1), mode="outer")


def band():
    """Two objects, 1 and 2, with a band of void two pixels wide between them, as in PASCAL VOC."""
    labels = np.array([[1, 1, 1, 0, 0, 2, 2, 2]] * 4)
    return labels, labels == 0


def test_void_is_a_segment_by_default():
    labels, void = band()
    edges = boundaries_from_labels(labels, void=void)
    np.testing.assert_array_equal(edges.any(axis=0), [0, 0, 1, 0, 1, 0, 0, 0])


def test_void_of_a_number_that_is_a_label_is_still_a_segment():
    labels, void = band()
    labels[void] = 1  # void pixels may hold any number, that of an object too
    edges = boundaries_from_labels(labels, void=void)
    np.testing.assert_array_equal(edges.any(axis=0), [0, 0, 1, 0, 1, 0, 0, 0])


def test_a_band_of_void_becomes_one_line_in_its_middle():
    labels, void = band()
    edges = boundaries_from_labels(labels, void=void, void_mode="nearest")
    np.testing.assert_array_equal(edges.all(axis=0), [0, 0, 0, 1, 0, 0, 0, 0])
    assert edges.sum() == 4


def test_nothing_is_known_in_ignored_void_and_beside_it():
    labels, void = band()
    assert not boundaries_from_labels(labels, void=void, void_mode="ignore").any()
    labels[:, 7] = 3  # a boundary away from the void stays
    edges = boundaries_from_labels(labels, void=void, void_mode="ignore")
    np.testing.assert_array_equal(edges.all(axis=0), [0, 0, 0, 0, 0, 0, 1, 0])
    assert edges.sum() == 4


def test_all_void_has_no_boundary():
    labels = np.zeros((4, 6), dtype=int)
    for mode in ("edge", "nearest", "ignore"):
        assert not boundaries_from_labels(labels, void=labels == 0, void_mode=mode).any()


def test_ignored_region_reaches_as_far_as_a_match():
    _, void = band()
    np.testing.assert_array_equal(ignored_region(void, 1.5).all(axis=0), [0, 0, 1, 1, 1, 1, 0, 0])
    assert not ignored_region(np.zeros_like(void), 1.5).any()


def test_void_of_another_size_and_an_unknown_mode_are_refused():
    labels, void = band()
    with pytest.raises(ValueError, match="one size"):
        boundaries_from_labels(labels, void=void[:2])
    with pytest.raises(ValueError, match="edge, nearest, ignore"):
        boundaries_from_labels(labels, void=void, void_mode="drop")
