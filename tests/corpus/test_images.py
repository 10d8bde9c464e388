# ruff: noqa: E501  one kind a line
"""Images as any command meets them: read whole, or refused in one line that names the file."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trace_edges.images import ImageError, load_image

from .harness import Case
from .pictures import (
    EMF,
    MARKER,
    PDF,
    POSTSCRIPT,
    WMF,
    chunk,
    colours,
    encoded,
    fake_ghostscript,
    png,
    tiff,
)
from .reading import told

RGB = colours()
GREY = RGB[..., 0]
PICTURE = Image.fromarray(RGB)
FORMS = {
    "png": encoded(RGB, "PNG"), "jpg": encoded(RGB, "JPEG"), "gif": encoded(RGB, "GIF"),
    "webp": encoded(RGB, "WEBP"), "bmp": encoded(RGB, "BMP"), "tif": encoded(RGB, "TIFF"),
}  # fmt: skip
NO_IMAGE, DAMAGED, SMALL, LARGE = "is not", "cannot be decoded", "give at least 16 px", "make it"
EITHER = "either"  # a decoder may take it or refuse it in one line


@dataclass(frozen=True)
class Kind:
    """One image file: its name, its content, and words of its refusal; None where it is read."""

    name: str
    content: bytes
    refused: str | None = None
    file: str = "bad.png"

    def make(self, folder: Path) -> Path:
        path = folder / self.file
        path.write_bytes(self.content)
        return path


def cmyk(tag: int, value: int) -> bytes:
    """A TIFF that Pillow reads, with another value in a tag."""
    content = bytearray(encoded(PICTURE.convert("CMYK"), "TIFF"))
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, at) == (tag,):
            struct.pack_into("<I", content, at + 8, value)
    return bytes(content)


def jpeg_without_tables() -> bytes:
    """As some scanners leave it when they are interrupted: Pillow's libtiff prints of it."""
    content = encoded(PICTURE.convert("YCbCr"), "TIFF", compression="jpeg")
    return content.replace(b"\xff\xdb", b"\xff\xfe")


def profiled() -> bytes:
    content = encoded(PICTURE.convert("LAB"), "TIFF")
    return content[: len(content) - 300] if b"acsp" in content else content


KINDS = [
    # Formats that are read, whatever the file is called.
    *(Kind(f"{form} called png", content) for form, content in FORMS.items()),
    *(Kind(f"{form} called jpg", content, None, "bad.jpg") for form, content in FORMS.items()),
    # Modes and depths.
    *(Kind(f"mode {mode}", encoded(PICTURE.convert(mode), "PNG")) for mode in ("1", "L", "LA", "P", "RGBA")),
    *(Kind(f"TIFF of mode {mode}", encoded(PICTURE.convert(mode), "TIFF")) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB")),
    Kind("JPEG of CMYK", encoded(PICTURE.convert("CMYK"), "JPEG")),
    Kind("JPEG of grey", encoded(GREY, "JPEG")),
    Kind("progressive JPEG", encoded(RGB, "JPEG", progressive=True)),
    Kind("several frames", encoded(PICTURE, "GIF", save_all=True, append_images=[PICTURE.rotate(9)])),
    Kind("several pages", encoded(PICTURE, "TIFF", save_all=True, append_images=[PICTURE.rotate(9)])),
    Kind("floats", encoded(Image.fromarray(GREY / np.float32(255)), "TIFF")),
    Kind("floats of 255", encoded(Image.fromarray(GREY.astype("f4")), "TIFF")),
    Kind("16 bits", encoded(Image.fromarray(GREY.astype("u2") * 16), "PNG")),
    Kind("NaN", encoded(Image.fromarray(GREY * np.float32("nan")), "TIFF"), "has values"),
    Kind("infinite", encoded(Image.fromarray(GREY + np.float32("inf")), "TIFF"), "has values"),
    Kind("below 0", encoded(Image.fromarray(GREY - np.float32(9)), "TIFF"), "has values"),
    Kind("beyond 16 bits", encoded(Image.fromarray(GREY.astype("i4") * 999), "TIFF"), "has values"),
    # Sizes.
    Kind("just large enough", encoded(RGB[:16, :16], "PNG")),
    Kind("too low", encoded(RGB[:15], "PNG"), SMALL),
    Kind("too narrow", encoded(RGB[:, :15], "PNG"), SMALL),
    Kind("one pixel", encoded(RGB[:1, :1], "PNG"), SMALL),
    Kind("PNG of no width", png(0, 32), ""),
    Kind("PNG of 400 megapixels and more", png(25_000, 20_000), LARGE),
    Kind("PNG of 2^31", png(2**31 - 1, 2**31 - 1), LARGE),
    Kind("PNG of 2^32", png(2**32 - 1, 2**32 - 1), ""),
    Kind("TIFF of 2^31", tiff((256, 4, 1, 2**31), (257, 4, 1, 2**31)), LARGE),
    Kind("TIFF of no width", tiff((256, 4, 1, 0)), ""),
    Kind("BMP of 2^30", FORMS["bmp"][:18] + b"\0\0\0\x40\0\0\0\x40" + FORMS["bmp"][26:], LARGE),
    Kind("GIF of 65535", FORMS["gif"][:6] + b"\xff\xff\xff\xff" + FORMS["gif"][10:], LARGE),
    Kind("PNG that holds less than it declares", png(20_000, 15_000), ""),
    Kind("PNG that holds more than it declares", png(32, 32, data=bytes(10**7)), EITHER),
    # Damage.
    Kind("no bytes", b"", "is empty"),
    *(Kind(f"{form} signature alone", content[:8], "") for form, content in FORMS.items()),
    *(Kind(f"{form} cut at {tenth} tenths", content[: len(content) * tenth // 10], EITHER) for form, content in FORMS.items() for tenth in range(1, 10)),
    *(Kind(f"{form} with zeros for its second half", content[: len(content) // 2] + bytes(len(content) // 2), EITHER) for form, content in FORMS.items()),
    *(Kind(f"{form} with text behind", content + b"more" * 99) for form, content in FORMS.items()),
    Kind("PNG with a wrong checksum of its header", png()[:29] + b"abcd" + png()[33:], DAMAGED),
    Kind("PNG of depth 3", png(depth=3), DAMAGED),
    Kind("PNG of colour 5", png(colour=5), DAMAGED),
    Kind("PNG of a palette without one", png(colour=3), EITHER),
    Kind("PNG of no data", png(packed=b""), DAMAGED),
    Kind("PNG of data that is no zlib", png(packed=b"garbage" * 9), DAMAGED),
    Kind("PNG with a chunk of 2 GiB", png(before=b"\x7f\xff\xff\xffzzzz"), ""),
    Kind("PNG with an odd chunk", png(before=chunk(b"abCd", b"x"))),
    Kind("PNG with a broken text", png(before=chunk(b"zTXt", b"a\0\0garbage"))),
    Kind("PNG with a broken profile", png(before=chunk(b"iCCP", b"a\0\0garbage")), EITHER),
    Kind("PNG with a broken EXIF", png(before=chunk(b"eXIf", b"garbage"))),
    Kind("TIFF of compression 9999", tiff((259, 3, 1, 9999)), ""),
    Kind("TIFF of photometric 9999", tiff((262, 3, 1, 9999)), ""),
    Kind("TIFF of 3 bits", tiff((258, 3, 1, 3)), EITHER),
    Kind("TIFF of 999 bits", tiff((258, 3, 1, 999)), ""),
    Kind("TIFF of 65535 samples", tiff((277, 3, 1, 65535)), ""),
    Kind("TIFF with strips beyond its end", tiff((273, 4, 1, 2**31)), EITHER),
    Kind("TIFF with strips of 4 GiB", tiff((279, 4, 1, 2**32 - 1)), EITHER),
    Kind("TIFF of no rows a strip", tiff((278, 4, 1, 0)), EITHER),
    Kind("TIFF with orientation 99", tiff((274, 3, 1, 99))),
    Kind("TIFF with its directory beyond its end", b"II*\0" + b"\xff\xff\xff\x7f" + bytes(99), ""),
    Kind("TIFF of zeros", b"II*\0" + bytes(99), ""),
    # More memory than there is, and what decoders print.
    Kind("PNG with pixels of 2 GiB", png(before=b"\x7f\xff\xff\xffIDAT"), ""),
    Kind("JPEG 2000 with a box of 2 GiB", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \x7f\xff\xff\xffjp2h" + bytes(99), ""),
    Kind("WEBP of a huge canvas", b"RIFF\x20\0\0\0WEBPVP8X\n\0\0\0\x02\0\0\0\xff\x4f\0\xff\x4a\0" + bytes(99), ""),
    Kind("TIFF of CMYK in 128 samples", cmyk(277, 128), ""),
    Kind("TIFF of JPEG without its tables", jpeg_without_tables(), ""),
    Kind("TIFF of CMYK with a profile beyond its end", profiled(), EITHER),
    # What other programs draw.
    *(Kind(f"PostScript called {suffix}", POSTSCRIPT, "is PostScript", f"bad.{suffix}") for suffix in ("png", "jpg", "tif", "eps")),
    *(Kind(f"PDF called {suffix}", PDF, "is a PDF", f"bad.{suffix}") for suffix in ("png", "jpg", "tif", "pdf")),
    Kind("EPS of DOS", b"\xc5\xd0\xd3\xc6" + bytes(26) + POSTSCRIPT, "is PostScript"),
    Kind("WMF", WMF, NO_IMAGE),
    Kind("EMF", EMF, NO_IMAGE),
    # What is no image.
    Kind("text", b"no image\n", NO_IMAGE),
    Kind("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "XML or SVG"),
    Kind("page of a server", b"<!DOCTYPE html><html>404</html>", "a web page"),
    Kind("pointer of git lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    Kind("array", b"\x93NUMPY\1\0" + bytes(99), "a NumPy array"),
    Kind("zip", b"PK\3\4" + bytes(99), "a ZIP"),
    Kind("gzip", b"\x1f\x8b" + bytes(99), "a gzip"),
    Kind("Photoshop", b"8BPS" + bytes(99), "Photoshop"),
    Kind("icon", b"\0\0\1\0" + bytes(99), "icon"),
    Kind("Netpbm", encoded(RGB, "PPM"), "Netpbm"),
    Kind("TGA", encoded(RGB, "TGA"), NO_IMAGE),
    Kind("pickle", b"\x80\4cos\nsystem\n(S'touch marker'\ntR.", NO_IMAGE),
]  # fmt: skip
SAMPLE = [kind for kind in KINDS if kind.name in (
    "gif called png", "PNG of 2^31", "TIFF of 2^31", "no bytes", "PostScript called png", "WMF",
    "PNG of no data", "tif cut at 5 tenths", "TIFF of 65535 samples", "NaN",
)]  # fmt: skip


def agrees(kind: Kind, folder: Path) -> None:
    environment = fake_ghostscript(folder)
    found = told(load_image, kind.make(folder), (ImageError,), environment)
    assert not (folder / MARKER).exists(), "another program was run"
    if kind.refused == EITHER:
        return
    assert (found is None) == (kind.refused is None), found
    assert found is None or (kind.file in found and (kind.refused or "") in found), found


@pytest.mark.parametrize("kind", SAMPLE, ids=lambda kind: kind.name.replace(" ", "_"))
def test_some_images_are_read_or_refused_in_one_line(kind, tmp_path):
    agrees(kind, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "_"))
def test_every_image_is_read_or_refused_in_one_line(kind, tmp_path):
    agrees(kind, tmp_path)


@pytest.mark.parametrize("spoiled", ["folder", "pipe", "link to nowhere", "link to itself"])
def test_what_is_no_file_is_refused(spoiled, tmp_path):
    path = tmp_path / "bad.png"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link to nowhere": lambda: path.symlink_to("nowhere"),
        "link to itself": lambda: path.symlink_to(path),
    }[spoiled]()
    assert "bad.png" in (told(load_image, path, (ImageError,)) or "")


FLOATS = torch.rand(3, 20, 20)
ODD = {
    "meta": (FLOATS.to("meta"), "device meta"),
    "sparse": (FLOATS.to_sparse(), "to_dense"),
    "quantised": (torch.quantize_per_tensor(FLOATS, 0.1, 0, torch.quint8), "dequantize"),
    "nested": (torch.nested.nested_tensor([FLOATS, FLOATS]), "nested"),
    "fp8": (FLOATS.to(torch.float8_e4m3fn), "float8_e4m3fn"),
    "complex": (FLOATS + 1j, "complex"),
    "masked": (np.ma.masked_less(RGB, 100), "masked values"),
    "objects": (RGB.astype(object), "object"),
    "text": (RGB.astype("U3"), "give uint8"),
    "int64": (torch.zeros(3, 20, 20, dtype=torch.int64), "int64"),
    "dates": (np.zeros((20, 20), "M8[s]"), "give uint8"),
    "NaN": (FLOATS * float("nan"), "values"),
    "lazy": (torch.nn.UninitializedParameter(), "without values"),
    "no pixels": (np.zeros((0, 0, 3), "u1"), SMALL),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.filterwarnings("ignore")
def test_odd_arrays_and_tensors_are_refused_with_the_mend(kind):
    source, words = ODD[kind]
    with pytest.raises(ImageError, match=words) as caught:
        load_image(source)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("of", [torch.bfloat16, torch.float16, torch.float64])
def test_floats_of_other_widths_are_images(of):
    assert load_image(FLOATS.to(of)).shape == (20, 20, 3)


COMMAND = (
    "annotate", "bad", "out", "--task", "edges", "--training-free", "--timestep", "99",
    "--resolution", "128", "--subcell", "1", "--device", "cpu", "--workers", "0", "--quiet",
)  # fmt: skip


def in_folder(kind: Kind):
    def make(folder: Path) -> None:
        (folder / "bad").mkdir()
        kind.make(folder / "bad")

    return make


CASES = [
    Case(kind.name, in_folder(kind), COMMAND, (kind.file, kind.refused))
    for kind in KINDS
    if kind.refused not in (None, EITHER) and kind.file in ("bad.png", "bad.jpg", "bad.tif")
]
