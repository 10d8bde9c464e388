"""Results show themselves, and are kept in files of their own."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import trace_edges as te
from trace_edges.results import Emergence, InstanceMasks, PanopticMap, Segment

BOXES = ((5, 15, 10, 20), (20, 35, 30, 55))


def edge_map(count=1):
    edges = np.zeros((count, 40, 60), np.float32)
    edges[:, 20] = 0.5
    point = Emergence(
        np.array([0, 99, 199]),
        np.tile(np.float32([0.2, 0.1]), (count, 1)),
        np.full(count, 99),
    )
    settings = {"method": "training-free", "seed": 3}
    return te.EdgeMap(edges, edges > 0, None, point, settings)


def instance_masks():
    masks = np.zeros((2, 40, 60), bool)
    for mask, (top, bottom, left, right) in zip(masks, BOXES, strict=True):
        mask[top:bottom, left:right] = True
    return InstanceMasks(masks, np.float32([0.25, 0.75]), {"strength": 0.1})


def panoptic_map():
    ids = np.zeros((40, 60), np.int32)
    ids[:20], ids[20:30] = 3, 9
    return PanopticMap(ids, (Segment(3, 7, True, 0.5), Segment(9, 8, False)), {"void": 255})


RESULTS = {"edges": edge_map, "masks": instance_masks, "panoptic": panoptic_map}
FACTS = {
    "edges": "EdgeMap(1 image of 40 x 60 px, ridges on 2.5% of the pixels, strength up to 0.50, "
    "read at t = 99, training-free)",
    "masks": "InstanceMasks(2 instances in 40 x 60 px, on 19.8% of the pixels)",
    "panoptic": "PanopticMap(1 things and 1 stuff in 40 x 60 px, 25.0% void)",
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_is_one_line_of_facts(kind):
    assert repr(RESULTS[kind]()) == FACTS[kind]


@pytest.mark.parametrize("kind", RESULTS)
def test_a_notebook_shows_an_image_with_the_facts_below(kind):
    result = RESULTS[kind]()
    image = Image.open(io.BytesIO(result._repr_png_()))
    assert image.size == (60, 40)
    html = result._repr_html_()
    embedded = base64.b64decode(re.search(r"base64,([^\"]+)\"", html)[1])
    assert embedded == result._repr_png_()
    assert html.count(FACTS[kind]) == 2  # to see, and as the alternative text


def test_a_large_result_is_shown_small():
    edges = np.zeros((1, 900, 1800), np.float32)
    result = te.EdgeMap(edges, edges > 0)
    assert Image.open(io.BytesIO(result._repr_png_())).size == (480, 240)


@pytest.mark.parametrize("kind", RESULTS)
def test_the_overlay_takes_whatever_is_an_image(kind, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    result = RESULTS[kind]()
    expected = np.asarray(result.overlay(pixels))
    assert expected.shape == (40, 60, 3)
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(pixels)):
        assert np.array_equal(np.asarray(result.overlay(image)), expected)
    with pytest.raises(ValueError, match="give those of one image"):
        result.overlay(pixels[1:])


def test_any_of_several_images_is_drawn():
    edges = np.zeros((2, 40, 60), np.float32)
    edges[1, 10] = 0.5
    result = te.EdgeMap(edges, edges > 0)
    first, second = (np.asarray(result.image(index)) for index in (0, 1))
    assert not first.any()
    assert (second[10] == 255).all()


def test_the_curve_is_drawn_with_its_mark():
    plot = edge_map().emergence.plot(size=(320, 200))
    assert plot.size == (320, 200)
    pixels = np.asarray(plot)
    assert (pixels == (230, 30, 80)).all(axis=-1).any()  # the line at t*


def test_masks_and_panoptic_maps_come_back_as_they_were(tmp_path):
    masks, panoptic = instance_masks(), panoptic_map()
    masks.save(tmp_path / "masks.npz")
    panoptic.save(tmp_path / "panoptic.npz")
    read = InstanceMasks.load(tmp_path / "masks.npz")
    assert np.array_equal(read.masks, masks.masks)
    assert np.array_equal(read.scores, masks.scores)
    assert read.settings == masks.settings
    again = PanopticMap.load(tmp_path / "panoptic.npz")
    assert np.array_equal(again.ids, panoptic.ids)
    assert (again.segments, again.settings) == (panoptic.segments, panoptic.settings)
    none = masks[[]]
    none.save(tmp_path / "none.npz")
    assert InstanceMasks.load(tmp_path / "none.npz").shape == (40, 60)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (te.EdgeMap, "an edge map"),
        (InstanceMasks, "instance masks"),
        (PanopticMap, "a panoptic map"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(kind, what, tmp_path):
    others = {te.EdgeMap: instance_masks(), InstanceMasks: panoptic_map(), PanopticMap: edge_map()}
    path = tmp_path / "result.npz"
    others[kind].save(path)
    with pytest.raises(ValueError, match=f"result.npz is not {what} saved by trace-edges"):
        kind.load(path)
    path.write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(ValueError, match=f"result.npz is not {what} saved by trace-edges"):
        kind.load(path)


def test_instances_are_picked_and_joined():
    masks = instance_masks()
    assert [len(one) for one in masks] == [1, 1]
    assert masks[1].boxes.tolist() == masks[-1].boxes.tolist() == [[30, 20, 55, 35]]
    for which in (masks.scores > 0.5, [False, True], [1], np.array([1]), slice(1, None)):
        assert masks[which].scores.tolist() == [0.75]
        assert masks[which].settings == masks.settings
    assert len(masks[[]]) == len(masks[masks.scores > 1]) == 0
    assert masks[[1, 0]].scores.tolist() == [0.75, 0.25]
    with pytest.raises(IndexError):
        masks[2]
    both = masks[:1] + masks
    assert both.scores.tolist() == [0.25, 0.25, 0.75]
    assert np.array_equal(both.masks[1:], masks.masks)
    with pytest.raises(ValueError, match="not of one image"):
        masks + InstanceMasks(np.ones((1, 4, 4), bool), np.ones(1, np.float32))


def test_numbers_below_zero_are_no_instances():
    labels = np.array([[-1, 0], [1, 2]])
    with pytest.raises(ValueError, match="holds -1: numbers of instances are 0 or more"):
        InstanceMasks.from_labels(labels)
