"""Only formats of the list are opened, no program is called, and nothing waits for ever."""

import io
import os
import socket
import stat
import struct
import sys
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, PngImagePlugin

from tests.known_pictures import GREY, PLAIN, RGB, close, encode, palette
from trace_edges.images import ImageError, load_image, read_image
from trace_edges.images.stored import Stored, check_memory, render


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A path that a fake Ghostscript, first on PATH, makes when it is run."""
    made = tmp_path / "programs" / "was-run"
    made.parent.mkdir()
    for name in ("gs", "gswin64c", "convert", "inkscape"):
        program = made.parent / name
        program.write_text(f"#!/bin/sh\ntouch {made}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(made.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # what Pillow has found out before
    return made


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n"
    b"0 0 40 40 rectfill\nshowpage\n%%EOF\n"
)


def test_the_fake_ghostscript_would_be_run_by_pillow(marker):
    with Image.open(io.BytesIO(EPS)) as image, suppress(OSError):
        image.load()
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (EPS, "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(EPS), 0, 0, 0, 0) + b"\0" * 4 + EPS,
         "PostScript"),
        (b"%PDF-1.4\n", "a PDF"),
        (b"\xd7\xcd\xc6\x9a\0\0" + bytes(40), ""),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (b"GRIB" + bytes(40), ""),
        (b"BUFR" + bytes(40), ""),
        (b"SIMPLE  =                    T", "FITS"),
        (b"P6 40 40 255\n" + bytes(4800), "Netpbm"),
        (b"8BPS\0\1" + bytes(40), "Photoshop"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ""),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    ],
)  # fmt: skip
def test_other_formats_are_refused_by_name_and_no_program_is_run(content, kind, marker, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.png: .*{kind}.*not a JPEG, PNG"):
        load_image(tmp_path / "a.png")
    assert not marker.exists()


def test_an_image_of_pillows_that_is_postscript_is_refused_too(marker):
    with Image.open(io.BytesIO(EPS)) as image, pytest.raises(ImageError, match="is EPS"):
        load_image(image)
    assert not marker.exists()


def test_pipes_devices_sockets_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        for path in (tmp_path / "pipe.png", tmp_path / "socket.png", "/dev/zero", "/dev/null"):
            with pytest.raises(ImageError, match="is a pipe, a socket or a device"):
                load_image(path)
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(ImageError, match=r"loop\.png: cannot be opened"):
        load_image(tmp_path / "loop.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image("a" * 300 + ".png")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)


def test_what_does_not_fit_the_memory_is_refused_by_its_known_need():
    with pytest.raises(ImageError, match=r"20000 x 20000 px and needs .* GiB of memory, and"):
        check_memory(20_000, 20_000, 10**9, "a.png")


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def deep_png(values, colour, *more):
    """A PNG with 16 bits a channel, which Pillow cannot write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        *more,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


TWELVE = np.rint(RGB / 255 * 4095).astype(np.uint16)
OPAQUE = np.full((*GREY.shape, 1), 65535, np.uint16)


@pytest.mark.parametrize(
    ("content", "known", "notes"),
    [
        (deep_png(TWELVE, 2), RGB, ("12-bit values in 16 bits",)),
        (deep_png(RGB.astype(np.uint16) * 257, 2), RGB, ()),
        (deep_png(np.dstack([TWELVE, OPAQUE]), 6), RGB, ("12-bit values in 16 bits",)),
        (deep_png(np.dstack([TWELVE[..., 0], OPAQUE]), 4), RGB[..., [0, 0, 0]],
         ("12-bit values in 16 bits",)),
    ],
)  # fmt: skip
def test_colour_of_12_bits_in_16_is_scaled_as_grey_is(content, known, notes):
    read = read_image(content)
    assert close(read.pixels, known, 1)
    assert read.notes == notes


def test_a_key_of_16_bits_is_transparent():
    values = RGB.astype(np.uint16) * 257
    key = struct.pack(">3H", *values[0, 0])
    read = read_image(deep_png(values, 2, chunk(b"tRNS", key)))
    assert read.pixels[0, 0].tolist() == [255, 255, 255]
    assert read.pixels[0, -1].tolist() == RGB[0, -1].tolist()
    assert read.notes == ("25 % transparent, laid on white",)


@pytest.mark.parametrize("zipped", [False, True])
def test_large_metadata_is_not_needed_to_read_pixels(zipped):
    texts = PngImagePlugin.PngInfo()
    for _ in range(3):
        texts.add_text("Comment", "x" * (30 << 20), zip=zipped)
    exif = Image.Exif()
    exif[0x0112] = 3
    content = encode(PLAIN.rotate(180), "PNG", pnginfo=texts, exif=exif)
    with pytest.raises(ValueError, match="MAX_TEXT"):
        Image.open(io.BytesIO(content)).load()
    assert close(load_image(content), RGB, 0)  # upright all the same


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read_and_said(kind):
    frames = [palette(255 - RGB), palette(RGB // 2)]
    content = encode(palette(), kind, save_all=True, append_images=frames, lossless=True)
    read = read_image(content)
    assert close(read.pixels, RGB, 0)
    assert read.notes == ("frame 1 of 3",)


def test_what_was_done_is_said():
    turned = Image.Exif()
    turned[0x0112] = 3
    image = PLAIN.copy()
    image.putalpha(Image.fromarray(np.where(GREY > 99, 255, 100).astype(np.uint8)))
    read = read_image(encode(image, "PNG", exif=turned))
    assert read.notes == (
        "turned upright (orientation 3)", "50 % transparent, laid on white",
    )  # fmt: skip
    assert read_image(encode(PLAIN, "PNG")).notes == ()


@pytest.mark.parametrize(
    ("kind", "package"), [("AVIF", "pillow"), ("JPEG2000", "pillow"), ("HEIF", "pillow_heif")]
)
def test_formats_of_the_extra_are_read(kind, package, tmp_path):
    if package == "pillow_heif":
        heif = pytest.importorskip("pillow_heif")
        content = io.BytesIO()
        heif.from_pillow(PLAIN).save(content, quality=100, chroma=444)
        content = content.getvalue()
    else:
        options = {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
        content = encode(PLAIN, kind, **options)
    assert close(load_image(content), RGB, 8)


def test_jpeg_xl_is_read_and_its_declared_size_is_checked():
    codecs = pytest.importorskip("imagecodecs")
    content = codecs.jpegxl_encode(np.ascontiguousarray(RGB), lossless=True)
    assert close(load_image(content), RGB, 0)
    wide = codecs.jpegxl_encode(np.zeros((8, 700, 3), np.uint8))
    with pytest.raises(ImageError, match="is 700 x 8 px"):
        load_image(wide)


def test_what_the_extra_would_read_is_refused_with_its_name(monkeypatch):
    codecs = pytest.importorskip("imagecodecs")
    content = codecs.jpegxl_encode(np.ascontiguousarray(RGB))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageError, match=r"is JPEG XL, and imagecodecs is not installed: pip"):
        load_image(content)


def test_alpha_has_at_least_the_bits_of_the_colours():
    values = np.dstack([TWELVE, np.full(GREY.shape, 300, np.uint16)])
    faint = Stored(values.__getitem__, *GREY.shape)
    pixels, notes = render(faint, "a")
    opacity = 300 / 4095
    assert close(pixels, RGB * opacity + 255 * (1 - opacity), 2)
    assert notes[-1] == "100 % transparent, laid on white"
