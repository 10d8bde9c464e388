"""Every function that takes edges takes an `EdgeMap` of one image as well as an array."""

import numpy as np
import pytest
import torch

import trace_edges as te
from trace_edges.instances import build_hierarchy, candidates_from_edges, contours, propagate
from trace_edges.instances.components import edge_array
from trace_edges.results import EdgeMap, InstanceMasks


def edge_map(count=1):
    """Three rooms behind soft walls of three columns; the second wall has no ridge."""
    edges = np.zeros((count, 30, 41), dtype=np.float32)
    edges[:, :, 12:15] = edges[:, :, 26:29] = 0.7, 1, 0.7
    ridges = np.zeros(edges.shape, dtype=bool)
    ridges[:, :, 13] = True
    return EdgeMap(edges, ridges)


OUT = edge_map()
MASKS = np.ones((1, 30, 41), dtype=bool)
LABELS = np.full((30, 41), 3)


def numbered(masks):
    return np.add.reduce(masks * np.arange(1, len(masks) + 1)[:, None, None])


CUT = {  # functions that cut masks at thin lines, and what they give
    "propagate": lambda edges: propagate(MASKS[0], edges),
    "masks": lambda edges: te.refine_instances(InstanceMasks.from_labels(LABELS), edges).label_map,
    "stack": lambda edges: numbered(te.refine_instances(MASKS, edges)),
    "labels": lambda edges: te.refine_instances(LABELS, edges),
    "panoptic": lambda edges: te.panoptic_from_semantic(LABELS, edges, things={1, 2, 3}).ids,
}
CLOSED = {  # functions of the regions that smooth bands close
    "hierarchy": lambda edges: build_hierarchy(edges).labels,
    "births": lambda edges: build_hierarchy(edges).births,
    "regions": lambda edges: te.instances_from_edges(edges).label_map,
    "contours": lambda edges: contours(edges),
}


@pytest.mark.parametrize("name", list(CUT))
def test_masks_are_cut_at_the_lines_of_an_edge_map(name):
    found = CUT[name](OUT)
    np.testing.assert_array_equal(found, CUT[name](OUT.thin[0]))
    assert set(np.unique(found)) - {0} == {1, 2}


@pytest.mark.parametrize("name", list(CLOSED))
def test_regions_are_closed_by_the_bands_of_an_edge_map(name):
    np.testing.assert_array_equal(CLOSED[name](OUT), CLOSED[name](OUT.edges[0]))
    assert len(te.instances_from_edges(OUT)) == 3


@pytest.mark.parametrize("name", [*CUT, *CLOSED])
@pytest.mark.parametrize("of", [torch.tensor, np.ndarray.tolist])
def test_edges_may_be_a_tensor_or_lists(name, of):
    function, edges = (CUT | CLOSED)[name], OUT.thin[0]
    np.testing.assert_array_equal(function(of(edges)), function(edges))


def test_masks_and_maps_may_be_tensors_or_lists():
    edges, masks = OUT.thin[0], MASKS
    cut = te.refine_instances(masks, edges)
    for given in (torch.tensor(masks), list(masks), masks.tolist()):
        np.testing.assert_array_equal(te.refine_instances(given, edges), cut)
    np.testing.assert_array_equal(propagate(torch.tensor(masks[0]), edges), cut[0] + 2 * cut[1])
    for given in (torch.tensor(LABELS), LABELS.tolist()):
        np.testing.assert_array_equal(te.refine_instances(given, edges), CUT["labels"](edges))
        found = te.panoptic_from_semantic(given, edges, things={3})
        np.testing.assert_array_equal(found.ids, CUT["panoptic"](edges))


@pytest.mark.parametrize("name", [*CUT, *CLOSED])
@pytest.mark.parametrize("count", [0, 2])
def test_an_edge_map_of_several_images_is_refused(name, count):
    with pytest.raises(ValueError, match=f"{count} images .* iterate: one image at a time"):
        (CUT | CLOSED)[name](edge_map(count))


def test_masks_are_cut_at_lines_and_regions_closed_by_bands():
    np.testing.assert_array_equal(edge_array(OUT, thin=True), OUT.thin[0])
    np.testing.assert_array_equal(edge_array(OUT), OUT.edges[0])
    assert (OUT.thin != OUT.edges).any()
    array = OUT.edges[0]
    assert edge_array(array, thin=True) is array


def test_the_images_of_a_result_one_at_a_time():
    assert [len(te.instances_from_edges(one)) for one in edge_map(3)] == [3, 3, 3]


def test_contours_of_edges_are_those_of_their_tree():
    np.testing.assert_array_equal(contours(OUT), contours(build_hierarchy(OUT)))


@pytest.mark.parametrize("name", list(CUT))
def test_edges_cut_from_the_usual_strength_of_what_drew_them(name):
    """A wall of 0.9 cuts where a detector with a backbone drew it, but not where the default one
    did, whose strengths are higher, nor where nobody knows."""
    settings = ({"backbone": "trace-mini"}, {"backbone": None}, {})
    drawn, *others = (EdgeMap(OUT.edges * 0.9, OUT.ridges, settings=one) for one in settings)
    np.testing.assert_array_equal(CUT[name](drawn), CUT[name](OUT))
    assert {int(CUT[name](one).max()) for one in (*others, OUT.thin[0] * 0.9)} == {1}


@pytest.mark.parametrize("name", list(CUT))
def test_calibrated_edges_cut_from_one_strength_whatever_drew_them(name):
    calibrated = {"calibration": "0123456789abcdef"}
    for method in ({"backbone": "trace-mini"}, {"backbone": None}, {"method": "training-free"}):
        strong, weak = (
            EdgeMap(OUT.edges * share, OUT.ridges, settings=method | calibrated)
            for share in (0.7, 0.6)
        )
        np.testing.assert_array_equal(CUT[name](strong), CUT[name](OUT))
        assert CUT[name](weak).max() == 1


def test_edges_of_the_training_free_method_close_regions_from_twice_the_strength():
    """A wall of 0.1 stands among the edges of a detector, not among those of attention itself."""
    edges = np.zeros((1, 20, 30), dtype=np.float32)
    edges[:, :, 14:16] = 0.1
    ridges = edges > 0
    free = EdgeMap(edges, ridges, settings={"method": "training-free"})
    one_step = EdgeMap(edges, ridges, settings={"method": "one-step"})
    counts = [len(te.instances_from_edges(one)) for one in (edges[0], one_step, free)]
    assert counts == [2, 2, 1]
    assert len(te.instances_from_edges(free, 0.05)) == 2
    calibrated = EdgeMap(edges, ridges, settings=free.settings | {"calibration": "01"})
    assert len(te.instances_from_edges(calibrated)) == 2


EMPTY = np.zeros((10, 12), dtype=np.float32)
UNIT = (-0.1, 1.1, float("nan"))
BOUNDS = {  # of each number that a function takes, what lies outside
    "min_area of regions": (lambda v: te.instances_from_edges(EMPTY, min_area=v), UNIT),
    "strength": (lambda v: te.instances_from_edges(EMPTY, v), UNIT),
    "min_area of candidates": (lambda v: candidates_from_edges(EMPTY, min_area=v), UNIT),
    "min_score": (lambda v: candidates_from_edges(EMPTY, min_score=v), UNIT),
    "max_iou": (lambda v: candidates_from_edges(EMPTY, max_iou=v), UNIT),
    "top_k": (lambda v: candidates_from_edges(EMPTY, top_k=v), (0, -1, float("nan"))),
    "blur": (lambda v: build_hierarchy(EMPTY, blur=v), (-1, float("inf"), float("nan"))),
    "area_power": (lambda v: build_hierarchy(EMPTY, area_power=v), (-1, float("nan"))),
    "origin": (lambda v: build_hierarchy(EMPTY, origin=v), ("canny",)),
    "iou": (lambda v: te.refine_instances(np.ones((10, 12), int), EMPTY, iou=v), UNIT),
    "iou of masks": (lambda v: te.refine_instances(np.ones((10, 12), bool), EMPTY, iou=v), UNIT),
}


@pytest.mark.parametrize("name", list(BOUNDS))
def test_a_number_out_of_its_range_is_refused_by_name(name):
    function, outside = BOUNDS[name]
    for value in outside:
        with pytest.raises(ValueError, match=f"^{name.partition(' ')[0]} must .*not"):
            function(value)
