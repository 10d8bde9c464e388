"""Edges cut the masks of an image only where most of those inside the masks divide one."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from trace_edges.instances import (
    Propagation,
    instances_from_edges,
    panoptic_from_semantic,
    propagate,
    refine_instances,
)
from trace_edges.instances.dividing import open_lines

SIZE = (120, 160)


def mask_and_lines():
    """A square mask, a line through its middle, and strokes in it that end anywhere."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[10:110, 30:130] = True
    line, strokes = (np.zeros(SIZE, dtype=np.float32) for _ in range(2))
    line[10:110, 80] = 1
    for row in range(20, 100, 10):
        strokes[row, 36:60] = 1  # eight of 24 px, beside a line of 100 px
    return mask, line, strokes


def test_a_line_divides_and_the_same_line_among_strokes_does_not():
    mask, line, strokes = mask_and_lines()
    assert propagate(mask, line).max() == 2
    assert propagate(mask, strokes).max() == 1
    assert propagate(mask, np.maximum(line, strokes)).max() == 1
    # Strokes that are too weak to separate are no reason to doubt the line.
    assert propagate(mask, np.maximum(line, 0.5 * strokes)).max() == 2


def test_without_the_condition_the_strokes_do_not_matter():
    mask, line, strokes = mask_and_lines()
    assert propagate(mask, np.maximum(line, strokes), Propagation(dividing=0)).max() == 2
    # 100 px of 292 divide.
    assert propagate(mask, np.maximum(line, strokes), Propagation(dividing=0.3)).max() == 2
    assert propagate(mask, np.maximum(line, strokes), Propagation(dividing=0.4)).max() == 1


def test_all_masks_of_an_image_are_judged_together():
    """Strokes in one class keep the line in another from cutting, in every way to cut."""
    mask, line, strokes = mask_and_lines()
    semantic = np.where(mask, 1 + (np.arange(SIZE[1]) < 70), 0)  # class 2 has the strokes
    things = {1, 2}
    with_strokes = np.maximum(line, strokes)
    assert len(panoptic_from_semantic(semantic, line, things).segments) == 4
    assert len(panoptic_from_semantic(semantic, with_strokes, things).segments) == 3
    assert refine_instances(semantic, line).max() == 3
    assert refine_instances(semantic, with_strokes).max() == 2
    stack = semantic == np.arange(1, 3)[:, None, None]
    assert len(refine_instances(stack, line)) == 3
    assert len(refine_instances(stack, with_strokes)) == 2
    # Outside of the masks of things nothing is judged.
    assert len(panoptic_from_semantic(semantic, with_strokes, {1}).segments) == 4


def test_lines_beside_the_end_of_a_mask_are_its_outline():
    mask, line, _ = mask_and_lines()
    outline = line.copy()
    outline[10:90, 33] = outline[30:110, 127] = 1
    assert propagate(mask, outline).max() == 2


def test_bands_count_as_lines():
    """As wide as strokes and line are, their share is that of their lengths."""
    mask, line, strokes = mask_and_lines()
    wide = np.maximum(line, strokes)
    for axis in (0, 1):
        wide = np.maximum.reduce([np.roll(wide, shift, axis) for shift in (-2, -1, 0, 1, 2)])
    assert propagate(mask, wide, Propagation(dividing=0.3)).max() == 2
    assert propagate(mask, wide, Propagation(dividing=0.5)).max() == 1


def test_edges_of_texture_cut_nothing():
    """A chequered wall closes hundreds of fields, and has as many lines that end inside of one."""
    rng = np.random.default_rng(0)
    texture = np.zeros((240, 320), dtype=np.float32)
    for row, column in rng.integers(0, (230, 300), (300, 2)):
        texture[row, column : column + 20] = 1
        texture[row : row + 10, column] = 1
    wall = np.ones(texture.shape, dtype=bool)
    assert propagate(wall, texture, Propagation(dividing=0)).max() > 10
    assert propagate(wall, texture).max() == 1


@pytest.mark.parametrize("times", [1, 2, 4])
def test_sizes_grow_with_the_image(times):
    """640 x 480 and its enlargements: the same gap is closed, the same islands are too small."""
    mask = np.zeros((480, 640), dtype=bool)
    mask[20:460, 100:500] = True
    edges = np.zeros(mask.shape, dtype=np.float32)
    edges[20:460, 300] = 1
    edges[198:202, 300] = 0  # a gap of 4 px
    edges[110:114, 110:115] = 1  # an island of 2 x 3 px
    edges[111:113, 111:114] = 0
    large, lines = (np.kron(one, np.ones((times, times), one.dtype)) for one in (mask, edges))
    assert propagate(large, lines).max() == 2
    if times == 4:
        # In the pixels of the large image the gap of 16 px would be an opening.
        assert propagate(large, lines, Propagation(close_gap=1)).max() == 1


def test_small_images_keep_their_pixels():
    assert Propagation().scaled((480, 640)) == Propagation().scaled((48, 64)) == Propagation()
    large = Propagation().scaled((960, 1280))
    assert (large.close_gap, large.min_area, large.min_radius) == (10, 80, 6)
    assert (large.cuts_from, large.dividing) == (0.95, 0.95)


def test_lines_with_gaps_enclose_nothing():
    """Two drawn rooms are regions; the same walls with doors are one, and the map says why."""
    closed = np.zeros((60, 80), dtype=np.float32)
    closed[:, 40] = closed[30, :40] = 0.8
    doors = closed.copy()
    doors[10:22, 40] = doors[40:52, 40] = doors[30, 10:30] = 0
    for edges, regions, is_open in ((closed, 3, False), (doors, 1, True)):
        found = instances_from_edges(edges, 0.3)
        assert len(found) == regions
        assert open_lines(edges, found.label_map, 0.3) == is_open
    smooth = gaussian_filter(doors, 2)
    assert not open_lines(smooth, np.ones(smooth.shape, dtype=np.int32), 0.1)


def test_refining_regions_at_the_edges_that_made_them_changes_nothing():
    """Noise has lines inside of regions too, which were not strong enough to part them."""
    rng = np.random.default_rng(1)
    smooth = gaussian_filter(rng.random((150, 200)), 5)
    smooth = ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    peaks = (smooth >= np.roll(smooth, 1, 1)) & (smooth >= np.roll(smooth, -1, 1))
    lines = np.where(peaks, smooth, 0)
    found = instances_from_edges(smooth, 0.3)
    assert len(found) > 3
    refined = refine_instances(found, lines)
    np.testing.assert_array_equal(refined.masks, found.masks)
