"""Images of every format that is read, with bytes changed: read, or refused in one line."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trace_edges.images import ImageError, read_image

from .fuzzing import changed, fuzz, fuzzed, refusal, with_right_checksums
from .pictures import chunk, colours, encoded, png

SMALL = colours(17, 19)
GREY = SMALL[..., 0]
PICTURE = Image.fromarray(SMALL)
EXIF = Image.Exif()
EXIF[274] = 6


def tiff(values: np.ndarray, **options: object) -> bytes:
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def pngs() -> list[bytes]:
    deep = SMALL.astype("u2") * 257
    texts = chunk(b"tEXt", b"Title\0x") + chunk(b"zTXt", b"Raw profile type exif\0\0abc")
    plain = encoded(SMALL, "PNG")
    return [
        plain[:33] + texts + plain[33:],
        encoded(PICTURE.convert("P"), "PNG", transparency=3),
        encoded(PICTURE.convert("RGBA"), "PNG", exif=EXIF),
        encoded(PICTURE.convert("LA"), "PNG"), encoded(PICTURE.convert("1"), "PNG"),
        encoded(Image.fromarray(deep[..., 0]), "PNG"), deep_png(deep),
    ]  # fmt: skip


def deep_png(values: np.ndarray) -> bytes:
    """RGB of 16 bits, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, 2, rows)


def tiffs() -> list[bytes]:
    return [
        tiff(SMALL), tiff(GREY.astype("u2")), tiff(GREY.astype("f4"), predictor=False),
        tiff(SMALL.astype("u2"), planarconfig="separate", photometric="rgb", rowsperstrip=5),
        tiff(np.stack([GREY] * 3), photometric="minisblack"), tiff(SMALL, tile=(16, 16)),
        tiff(GREY, byteorder=">", bigtiff=True), tiff(SMALL, compression="zlib", predictor=True),
        tiff(SMALL, compression="lzw"), tiff(GREY > 99, photometric="minisblack"),
        *(encoded(PICTURE.convert(mode), "TIFF", compression=packed)
          for mode, packed in (("CMYK", None), ("LAB", None), ("YCbCr", "jpeg"), ("P", "packbits"),
                               ("1", "group4"), ("RGB", "jpeg"), ("RGBA", "tiff_lzw"))),
    ]  # fmt: skip


def seeds(form: str) -> list[bytes]:
    """Small images of a format, in as many of its ways as we know to write."""
    match form:
        case "PNG":
            return pngs()
        case "TIFF":
            return tiffs()
        case "JPEG":
            modes = [PICTURE, PICTURE.convert("L"), PICTURE.convert("CMYK")]
            return [
                *(encoded(one, "JPEG", exif=EXIF) for one in modes),
                encoded(PICTURE, "JPEG", progressive=True),
            ]
        case "GIF":
            more = {"save_all": True, "append_images": [PICTURE.rotate(9)]}
            return [encoded(PICTURE, "GIF"), encoded(PICTURE, "GIF", transparency=3, **more)]
        case "BMP":
            return [
                encoded(PICTURE.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")
            ]
        case "WEBP":
            return [
                encoded(PICTURE, "WEBP", exif=EXIF), encoded(PICTURE, "WEBP", lossless=True),
                encoded(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(9)]),
            ]  # fmt: skip
        case "AVIF":
            return [encoded(PICTURE, "AVIF")]
        case "JPEG2000":
            return [encoded(PICTURE, "JPEG2000"), encoded(PICTURE, "JPEG2000", no_jp2=True)]
        case "HEIF":
            pytest.importorskip("pillow_heif").register_heif_opener()
            return [encoded(PICTURE, "HEIF")]
    return [pytest.importorskip("imagecodecs").jpegxl_encode(SMALL)]


def images(folder: Path, inputs: list[bytes]) -> None:
    path = folder / "it.png"

    def check(content: bytes) -> None:
        path.write_bytes(with_right_checksums(content))
        line = refusal(partial(read_image, path), (ImageError,))
        assert line is None or line.startswith(str(path)), line

    fuzz(changed(inputs), check, 300)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "form",
    ["PNG", "TIFF", "JPEG", "GIF", "BMP", "WEBP", "AVIF", "JPEG2000", "HEIF", "JPEG XL"],
)  # fmt: skip
def test_changed_bytes_give_an_image_or_one_line(form, tmp_path):
    try:
        inputs = seeds(form)
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow writes no {form} ({error})")
    fuzzed(images, tmp_path, inputs)
