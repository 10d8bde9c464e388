import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from trace_edges.files import FileError
from trace_edges.formats.pixels import (
    colour_ids,
    id_colours,
    read_pixels,
    stored_pixels,
    upright_size,
    write_png,
)


def test_indices_of_a_palette_are_kept(tmp_path):
    picture = Image.fromarray(np.array([[0, 7]], dtype=np.uint8))
    picture.putpalette([255 - n // 3 for n in range(768)])
    picture.save(tmp_path / "a.png")
    pixels, mode = read_pixels(tmp_path / "a.png", ("P",), "X is Y")
    assert (pixels.tolist(), mode) == ([[0, 7]], "P")


def sixteen_bit_colours():
    """A PNG of one pixel with 16 bits a channel, which Pillow would cut to 8."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(7))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_pictures_that_do_not_keep_values_are_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "lossy.png", format="JPEG")
    with pytest.raises(FileError, match=r"lossy\.png is a JPEG, .*: X is Y: save it again"):
        read_pixels(tmp_path / "lossy.png", ("RGB",), "X is Y")
    (tmp_path / "deep.png").write_bytes(sixteen_bit_colours())
    with pytest.raises(FileError, match=r"deep\.png has 16 bits a colour"):
        read_pixels(tmp_path / "deep.png", ("RGB",), "X is Y")


def test_damage_is_one_line_with_the_name(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileError, match=r"a\.png cannot be decoded") as caught:
        read_pixels(path, ("L",), "X is Y")
    assert "\n" not in str(caught.value)
    path.write_text("no picture", encoding="utf-8")
    with pytest.raises(FileError, match=r"a\.png is not a JPEG"):
        read_pixels(path, ("L",), "X is Y")
    with pytest.raises(FileNotFoundError, match=r"lost\.png"):
        read_pixels(tmp_path / "lost.png", ("L",), "X is Y")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read(tmp_path, dtype):
    values = np.array([[0, 7, np.iinfo(dtype).max]], dtype=dtype)
    write_png(values, tmp_path / "new" / "a.png")
    pixels, _ = read_pixels(tmp_path / "new" / "a.png", ("L", "I;16"), "X is Y")
    np.testing.assert_array_equal(pixels, values)


def test_numbers_and_colours_are_each_others_inverse():
    ids = np.array([[0, 255, 256], [65536, 2**24 - 1, 70000]], dtype=np.int32)
    assert id_colours(ids)[0, 2].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(colour_ids(id_colours(ids)), ids)


def few_bits(values, bits):
    """A grey PNG of 2 or 4 bits, which Pillow cannot write."""

    def chunk(kind, data):
        checked = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checked

    height, width = values.shape
    each = 8 // bits
    packed = values.reshape(height, width // each, each)
    shifts = np.arange(each)[::-1] * bits
    rows = (packed << shifts).sum(axis=2).astype(np.uint8)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_keeps_its_numbers(tmp_path, bits):
    values = np.arange(2**bits).reshape(1, -1).repeat(3, axis=0)
    (tmp_path / "a.png").write_bytes(few_bits(values, bits))
    pixels, mode = read_pixels(tmp_path / "a.png", ("L",), "X is Y")
    assert mode == "L"
    np.testing.assert_array_equal(pixels, values)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_numbers_are_turned_upright_as_images_are(tmp_path, suffix):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored first row is the right side
    Image.fromarray(values).save(tmp_path / f"a.{suffix}", exif=exif)
    pixels, _ = read_pixels(tmp_path / f"a.{suffix}", ("L",), "X is Y")
    np.testing.assert_array_equal(pixels, np.rot90(values, -1))
    assert upright_size(tmp_path / f"a.{suffix}") == (3, 2)


def test_what_calls_programs_or_waits_is_refused_at_once(tmp_path):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    (tmp_path / "a.png").write_bytes(eps)
    os.mkfifo(tmp_path / "pipe.png")
    for read in (lambda path: read_pixels(path, ("L",), "X is Y"), stored_pixels, upright_size):
        with pytest.raises(FileError, match=r"a\.png is PostScript"):
            read(tmp_path / "a.png")
        with pytest.raises(FileError, match="is a pipe, a socket or a device"):
            read(tmp_path / "pipe.png")


def test_a_declared_size_of_more_than_400_megapixels_is_refused(tmp_path):
    content = bytearray(few_bits(np.zeros((2, 4), int), 2))
    content[16:24] = struct.pack(">II", 10**5, 10**5)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileError, match="is 100000 x 100000 px: make it at most 400,000,000"):
        read_pixels(tmp_path / "a.png", ("L",), "X is Y")


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_of_a_stack_no_page_is_taken_for_the_map(suffix, tmp_path):
    pages = [Image.fromarray(np.full((6, 8), k, dtype=np.uint8)) for k in (1, 2, 3)]
    path = tmp_path / f"it.{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(FileError, match=r"holds 3 (pages|frames): save the one that is meant"):
        stored_pixels(path)


def test_a_tiff_of_jpeg_data_is_no_label_map(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    labels = np.zeros((48, 64), np.uint8)
    labels[13:40, 21:45] = 200
    for compression in ("jpeg", "jpeg2000", "jpegxl"):
        path = tmp_path / f"{compression}.tif"
        tifffile.imwrite(path, labels, compression=compression)
        with pytest.raises(FileError, match=rf"a TIFF of {compression.upper()} data, which may"):
            read_pixels(path, ("L",), "a label map is grey")
    tifffile.imwrite(path, labels, compression="zlib")
    assert (read_pixels(path, ("L",), "a label map is grey")[0] == labels).all()
