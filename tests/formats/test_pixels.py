import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from trace_edges.files import FileError
from trace_edges.formats.pixels import read_panoptic_ids, read_pixels


def test_an_id_is_its_colour_to_the_base_of_256(tmp_path):
    colours = np.array([[[0, 0, 0], [1, 0, 0]], [[0, 1, 0], [3, 2, 1]]], dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "ids.png")
    assert read_panoptic_ids(tmp_path / "ids.png").tolist() == [[0, 1], [256, 3 + 512 + 65536]]


def test_the_largest_id_fits(tmp_path):
    Image.new("RGB", (1, 1), "white").save(tmp_path / "ids.png")
    assert read_panoptic_ids(tmp_path / "ids.png").tolist() == [[2**24 - 1]]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_a_panoptic_png_is_rgb(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "other.png")
    words = rf"other\.png is a picture of mode {mode}: a panoptic PNG is RGB \(id = R"
    with pytest.raises(FileError, match=words):
        read_panoptic_ids(tmp_path / "other.png")


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
    with pytest.raises(FileError, match=r"lossy\.png is a JPEG, .*: X is Y: write it anew"):
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
    path.write_text("no picture")
    with pytest.raises(FileError, match=r"a\.png cannot be decoded"):
        read_pixels(path, ("L",), "X is Y")
    with pytest.raises(FileNotFoundError, match=r"lost\.png"):
        read_pixels(tmp_path / "lost.png", ("L",), "X is Y")
