"""Edge maps as other people's detectors write them."""

import numpy as np
import pytest
from PIL import Image

from trace_edges.formats.edge_maps import find_edge_maps, read_edge_map, write_edge_map

MAP = np.array([[0, 128, 255], [7, 0, 1]], dtype=np.uint8)


def test_results_of_detect_are_found_by_the_name_of_the_image(tmp_path):
    for name in ("a.edges.png", "a.overlay.png", "a.json", "b.png", ".c.png"):
        (tmp_path / name).write_bytes(b"")
    maps = find_edge_maps(tmp_path)
    assert {name: path.name for name, path in maps.items()} == {"a": "a.edges.png", "b": "b.png"}


def test_two_maps_of_one_image_no_map_and_no_folder_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no edge map"):
        find_edge_maps(tmp_path)
    (tmp_path / "a.edges.png").write_bytes(b"")
    (tmp_path / "a.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.npy.*same image"):
        find_edge_maps(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        find_edge_maps(tmp_path / "gone")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_grey_in_any_mode(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.fromarray(MAP).convert(mode).save(path)
    values = read_edge_map(path)
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, MAP)


def test_sixteen_bits_and_one_bit(tmp_path):
    deep = MAP.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert read_edge_map(tmp_path / "a.png").dtype == np.uint16
    np.testing.assert_array_equal(read_edge_map(tmp_path / "a.png"), deep)
    Image.fromarray(MAP > 0).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_edge_map(tmp_path / "b.png"), (MAP > 0) * 255)


def test_arrays(tmp_path):
    path = tmp_path / "a.npy"
    for stored in (MAP / 255, (MAP / 255)[None], (MAP / 255).astype(np.float16)):
        np.save(path, stored)
        np.testing.assert_allclose(read_edge_map(path), MAP / 255, atol=1e-3)
    np.save(path, MAP)
    assert read_edge_map(path).dtype == np.uint8
    np.save(path, MAP > 0)
    np.testing.assert_array_equal(read_edge_map(path), MAP > 0)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.full((2, 2), 1.5), r"has values outside \[0, 1\]"),
        (np.full((2, 2), np.nan), r"has values outside \[0, 1\]"),
        (np.zeros((2, 2), dtype=np.int64), "int64"),
        (np.zeros((2, 2, 3)), r"\(h, w\)"),
        (np.array([None]), "cannot be read"),
    ],
)
def test_arrays_that_are_no_edge_map_are_refused(tmp_path, stored, message):
    path = tmp_path / "a.npy"
    np.save(path, stored, allow_pickle=True)
    with pytest.raises(ValueError, match=rf"a\.npy.*{message}"):
        read_edge_map(path)


def test_colours_and_broken_pictures_are_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (3, 3), (1, 2, 3)).save(path)
    with pytest.raises(ValueError, match=r"a\.png is a colour image"):
        read_edge_map(path)
    path.write_text("no picture", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        read_edge_map(path)


@pytest.mark.parametrize(("form", "levels"), [("png", 255), ("png16", 65535), ("npy", None)])
def test_what_is_written_is_read(tmp_path, form, levels):
    edges = np.array([[0, 0.25, 1], [0.5, 0.001, 0.7]], dtype=np.float32)
    path = tmp_path / ("a.npy" if form == "npy" else "a.png")
    write_edge_map(edges, path, form)
    expected = edges if levels is None else np.rint(edges * levels)
    np.testing.assert_array_equal(read_edge_map(path), expected)


def test_floats_of_a_tiff_are_read_as_those_of_an_array_are(tmp_path):
    floats = MAP / np.float32(255)
    Image.fromarray(floats).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_edge_map(tmp_path / "a.tif"), floats)
    Image.fromarray(floats * 255).save(tmp_path / "b.tif")
    with pytest.raises(ValueError, match=r"b\.tif has values outside \[0, 1\]"):
        read_edge_map(tmp_path / "b.tif")


def test_grey_with_alpha_is_an_edge_map(tmp_path):
    Image.fromarray(MAP).convert("LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_edge_map(tmp_path / "a.png"), MAP)


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.tif"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            (MAP > 0).astype(np.uint8),
            "holds only 0 and 1, not 0 ... 255: write 255 where edges are",
        ),
        (MAP.astype(np.uint16), r"holds 0 ... 255 of 0 ... 65535: write it in 8 bits"),
    ],
)
def test_values_that_would_never_be_edges_are_refused(tmp_path, name, values, message):
    if name == "a.npy":
        np.save(tmp_path / name, values)
    else:
        Image.fromarray(values).save(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        read_edge_map(tmp_path / name)


def test_blank_maps_and_faint_ones_of_ours_are_let_pass(tmp_path):
    faint = (MAP > 0).astype(np.uint8)
    for name, values in (("a.png", faint * 0), ("a.edges.png", faint)):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_array_equal(read_edge_map(tmp_path / name), values)


def test_postscript_called_png_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image: is PostScript"):
        read_edge_map(tmp_path / "a.png")


def test_white_is_an_edge_also_where_a_tiff_says_that_white_is_0(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    edges = np.zeros((24, 32), np.uint8)
    edges[:, 16] = 255
    tifffile.imwrite(tmp_path / "a.tif", ~edges, photometric="miniswhite")
    assert (read_edge_map(tmp_path / "a.tif") == edges).all()
