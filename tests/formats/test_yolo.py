import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, gaussian_filter, label
from skimage.draw import line, polygon_perimeter
from skimage.draw import polygon as filled

from trace_edges.formats.outlines import polygon
from trace_edges.formats.yolo import export_yolo
from trace_edges.results import InstanceMasks


def drawn(path, shape):
    """The pixels on and, by the even-odd rule, within a path (column, row)."""
    rows, columns = path[:, 1], path[:, 0]
    mask = np.zeros(shape, dtype=bool)
    mask[filled(rows, columns, shape)] = True
    mask[polygon_perimeter(rows, columns, shape)] = True
    return mask


def lines(path):
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_rectangle_is_its_four_corner_pixels():
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:6, 3:13] = True
    corners = {tuple(point) for point in polygon(mask).tolist()}
    assert corners == {(3, 2), (12, 2), (12, 5), (3, 5)}
    assert len(polygon(mask)) == 4


def test_a_pixel_is_three_times_itself():
    mask = np.zeros((4, 4), dtype=bool)
    mask[1, 2] = True
    assert polygon(mask).tolist() == [[2, 1]] * 3


def test_holes_stay_open_and_parts_are_bridged(pictures):
    ring, parts, over, dot = pictures["cat"].masks
    for mask in (ring, over, dot):
        np.testing.assert_array_equal(drawn(polygon(mask), mask.shape), mask)
    bridged = drawn(polygon(parts), parts.shape)
    assert (bridged & parts).sum() == parts.sum()
    # From the part that ends in row 3 to the one that begins in row 10: rows 4 ... 9.
    assert np.argwhere(bridged & ~parts)[:, 0].tolist() == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("seed", range(4))
def test_a_connected_mask_is_kept_to_the_pixel_and_of_others_bridges_are_lost(seed):
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((60, 80)), 1.2)
    mask = noise > -0.05
    parts, count = label(mask, np.ones((3, 3)))
    main = parts == np.bincount(parts[mask]).argmax()
    assert count > 1
    assert (binary_fill_holes(main) != main).any()
    np.testing.assert_array_equal(drawn(polygon(main), mask.shape), main)
    path = polygon(mask)
    read = drawn(path, mask.shape)
    assert not (mask & ~read).any()
    bridged = mask.copy()
    for (left, top), (right, bottom) in zip(path, np.roll(path, -1, axis=0), strict=True):
        bridged[line(top, left, bottom, right)] = True
    np.testing.assert_array_equal(read, bridged)


def test_a_line_per_instance_relative_to_the_sides(tmp_path, pictures):
    export_yolo(pictures, tmp_path)
    assert lines(tmp_path / "labels" / "blank.txt") == []
    written = lines(tmp_path / "labels" / "cat.txt")
    assert [line[0] for line in written] == ["0"] * 4
    # Pixel (1, 18) of 30 x 20 px, as 1.499 / 30 and 18.499 / 20.
    assert written[3][1:] == ["0.0499667", "0.9249500"] * 3


@pytest.mark.parametrize("reader", [np.floor, np.round])
def test_readers_that_cut_or_round_find_the_pixels(tmp_path, pictures, reader):
    export_yolo(pictures, tmp_path)
    masks = []
    for _, *values in lines(tmp_path / "labels" / "cat.txt"):
        path = np.array(values, dtype=np.float64).reshape(-1, 2) * (30, 20)
        masks.append(drawn(reader(path).astype(int), (20, 30)))
    ring, _, over, dot = pictures["cat"].masks
    np.testing.assert_array_equal([masks[0], *masks[2:]], [ring, over, dot])


@pytest.mark.parametrize("reader", [np.floor, np.round])
def test_pixels_of_a_large_picture_are_found_in_single_precision(tmp_path, reader):
    columns = np.arange(9_900, 10_000)
    masks = np.zeros((100, 1, 10_000), dtype=bool)
    masks[np.arange(100), 0, columns] = True
    export_yolo({"a": InstanceMasks(masks, np.ones(100, dtype=np.float32))}, tmp_path)
    read = [np.float32(line[1]) * 10_000 for line in lines(tmp_path / "labels" / "a.txt")]
    np.testing.assert_array_equal(reader(read), columns)


@pytest.mark.parametrize("seed", range(4))
def test_points_put_between_the_vertices_leave_the_path_nowhere(tmp_path, seed):
    """As Ultralytics does before it cuts to pixels, along diagonals of both directions."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((64, 64)), 2)
    parts, _ = label(noise > 0, np.ones((3, 3)))
    mask = parts == np.bincount(parts[parts > 0]).argmax()
    export_yolo({"a": InstanceMasks(mask[None], np.ones(1, dtype=np.float32))}, tmp_path)
    (_, *values), *_ = lines(tmp_path / "labels" / "a.txt")
    path = np.array(values, dtype=np.float64).reshape(-1, 2) * 64
    # 15 parts: a point exactly halfway along a diagonal would still be one beside it.
    dense = np.linspace(path, np.roll(path, -1, axis=0), 15, axis=1, endpoint=False)
    read = drawn(np.floor(dense.reshape(-1, 2)).astype(int), mask.shape)  # (k, 15, 2) -> (15 k, 2)
    np.testing.assert_array_equal(read, mask)


def test_supervision_reads_it_back(tmp_path, pictures):
    sv = pytest.importorskip("supervision")
    from PIL import Image

    export_yolo(pictures, tmp_path, category="a: thing")
    (tmp_path / "images").mkdir()
    for name, instances in pictures.items():
        Image.new("RGB", instances.shape[::-1]).save(tmp_path / "images" / f"{name}.jpg")
    dataset = sv.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml"), True
    )
    assert dataset.classes == ["a: thing"]
    read = dataset.annotations[str(tmp_path / "images" / "cat.jpg")]
    ring, parts, over, dot = pictures["cat"].masks
    for found, mask in zip(read.mask, (ring, parts, over, dot), strict=True):
        if mask is not parts:
            np.testing.assert_array_equal(found, mask)
    assert not (parts & ~read.mask[1]).any()
    assert (read.mask[1] & ~parts).sum() == 6


def test_equal_masks_give_equal_bytes(tmp_path, pictures):
    for folder in ("a", "b"):
        export_yolo(pictures, tmp_path / folder)
    first, second = (
        [path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.*"))] for folder in "ab"
    )
    assert first == second
    assert len(first) == 3


def test_a_name_must_not_lead_elsewhere(tmp_path):
    empty = InstanceMasks(np.zeros((0, 4, 4), dtype=bool), np.zeros(0, dtype=np.float32))
    with pytest.raises(ValueError, match="leads out of the folder"):
        export_yolo({"../a": empty}, tmp_path)


def test_parts_in_a_row_hang_on_their_neighbours():
    mask = np.zeros((3, 23), dtype=bool)
    mask[:, 0:3] = mask[:, 10:13] = mask[:, 20:23] = True
    path = polygon(mask)
    steps = np.abs(np.diff(path, axis=0, append=path[:1])).max(axis=1)
    assert sorted(steps[steps > 2].tolist()) == [8, 8, 8, 8]  # two bridges, there and back


def test_parts_on_one_line_and_rings_that_share_a_pixel():
    mask = np.zeros((1, 20), dtype=bool)
    mask[0, [0, 5, 12, 13]] = True
    assert {(0, 0), (5, 0), (12, 0), (13, 0)} == set(map(tuple, polygon(mask).tolist()))
    eight = np.ones((4, 7), dtype=bool)
    eight[1:3, [1, 2, 4, 5]] = False  # the bar between the two holes is one pixel wide
    corners = set(map(tuple, polygon(eight).tolist()))
    assert {(0, 0), (6, 0), (6, 3), (0, 3)} <= corners
