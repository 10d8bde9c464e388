"""What is no picture is refused in one line that says so."""

import io
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from trace_edges.images import ImageError, load_image, opening

from .known_pictures import DEEP, GREY, PLAIN, RGB, encode


def refused(source, name, problem):
    with pytest.raises(ImageError) as caught:
        load_image(source)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{name}: ")
    assert message.count(f"{name}: ") == 1
    assert problem in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def png_header(width, height):
    """A PNG that only claims its size."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


BAD_FILES = {
    "empty.png": (b"", "is empty (0 bytes)"),
    "text.png": (b"this is a text and no picture\n", "is not a JPEG, PNG"),
    "vector.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a JPEG, PNG"),
    "two\nlines.png": (b"?", "is not a JPEG, PNG"),
    "signature.jpg": (b"\xff\xd8\xff\xe0", "cannot be decoded"),
    "small.png": (encode(PLAIN.resize((15, 300)), "PNG"), "15 x 300 px; give at least 16 px"),
    "huge.png": (png_header(25_000, 20_000), "25000 x 20000 px; make it at most 400,000,000"),
    "nodata.tif": (
        encode(Image.fromarray(np.where(GREY > 99, GREY, -9999.0).astype(np.float32)), "TIFF"),
        "has values from -9999 to 200; bring them to [0, 1] or [0, 255]",
    ),
    "wide.tif": (
        encode(Image.fromarray(DEEP.astype(np.int32) * 2), "TIFF"),
        "has values from 10280 to 102800; bring them to [0, 65535]",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_in_one_line(name, tmp_path):
    content, problem = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, str(path).replace("\n", " "), problem)
    refused(content, "the image", problem)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_truncated_files_are_refused(kind, tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8))
    content = encode(noise, kind)
    path = tmp_path / "cut"
    path.write_bytes(content[: len(content) // 2])
    refused(path, path, "cannot be decoded")
    if kind != "WEBP":  # which Pillow does not even open
        with Image.open(path) as image:
            refused(image, path, "cannot be decoded")


def test_bad_places_are_refused(tmp_path, monkeypatch):
    refused(tmp_path / "lost.png", tmp_path / "lost.png", "there is no such file")
    refused("", "the empty path", "there is no such file")
    refused("a\0b", "a\0b", "there is no such file")
    refused(tmp_path, tmp_path, "is a folder")
    for url in ("http://x.org/a.png", "HTTPS://x.org/a.png"):
        refused(url, url, "download it first")

    def deny(path, mode):
        raise PermissionError(13, "Permission denied", path)

    PLAIN.save(tmp_path / "locked.png")
    monkeypatch.setattr(opening, "open", deny, raising=False)  # root may read everything
    refused(tmp_path / "locked.png", tmp_path / "locked.png", "(Permission denied); check its")


def test_bad_file_objects_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    with open(tmp_path / "a.txt", encoding="utf-8") as file:
        refused(file, tmp_path / "a.txt", "open it with mode 'rb'")
    refused(file, tmp_path / "a.txt", "closed file")
    closed = Image.open(io.BytesIO(encode(PLAIN, "PNG")))
    closed.close()
    refused(closed, "the image", "cannot be decoded")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (RGB[:15], "is 48 x 15 px"),
        (np.broadcast_to(np.uint8(0), (20_001, 20_000)), "is 20000 x 20001 px"),
        (np.moveaxis(RGB, 2, 0), "(3, 32, 48); give (h, w) or (h, w, 1 | 3 | 4)"),
        (RGB[..., :2], "(32, 48, 2)"),
        (np.array(7), "()"),
        (RGB.astype(np.int64), "int64; give uint8, uint16, bool or float"),
        (RGB.astype(complex), "complex128"),
        (RGB.astype(object), "object"),
        (RGB / 255 - 0.5, "bring them to [0, 1] or [0, 255]"),
        (RGB * 1.5, "bring them to [0, 1] or [0, 255]"),
        (np.where(GREY > 99, np.nan, 0.5), "from nan to nan"),
        (np.append(np.full((1100, 1000), 0.5), [[np.nan] * 1000], 0), "from nan to nan"),
        (np.where(GREY > 99, np.inf, 0.5), "to inf"),
        (torch.from_numpy(RGB), "(32, 48, 3); give (h, w) or (1 | 3 | 4, h, w)"),
        (torch.from_numpy(GREY).int(), "int32"),
        (torch.from_numpy(GREY).float(), "from 20 to 200; bring them to [0, 1]"),
        (torch.from_numpy(GREY) / 127.5 - 1, "bring them to [0, 1]"),
    ],
)
def test_bad_arrays_are_refused(source, problem):
    refused(source, "the image", problem)
