"""TIFF as its tags mean it, with and without imagecodecs."""

import io
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.known_pictures import ALPHA, GREY, GREY_3, LA, RGB, RGBA, close, palette
from trace_edges.images import ImageError, load_image, read_image

DEEP = RGB.astype(np.uint16) * 257
TWELVE = np.rint(RGB / 255 * 4095).astype(np.uint16)  # as a camera of 12 bits has them


def tiff(values, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, values, **options)
    return content.getvalue()


def planes(values):
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))


def bands(*more):
    return np.dstack([RGB, *more])


INFRARED = np.full(GREY.shape, 7, np.uint8)
CASES = {  # content, known result, tolerance, notes
    "planes of 16 bits": (
        tiff(planes(DEEP), photometric="rgb", planarconfig="separate"), RGB, 0, (),
    ),
    "planes of 8 bits": (
        tiff(planes(RGB), photometric="rgb", planarconfig="separate"), RGB, 0, (),
    ),
    "16 bits": (tiff(DEEP, photometric="rgb"), RGB, 0, ()),
    "12 bits in 16": (tiff(TWELVE, photometric="rgb"), RGB, 1, ("12-bit values in 16 bits",)),
    "big-endian": (tiff(DEEP, photometric="rgb", byteorder=">"), RGB, 0, ()),
    "BigTIFF": (tiff(DEEP, photometric="rgb", bigtiff=True), RGB, 0, ()),
    "tiles": (tiff(DEEP, photometric="rgb", tile=(16, 16)), RGB, 0, ()),
    "tiles in planes": (
        tiff(planes(DEEP), photometric="rgb", planarconfig="separate", tile=(16, 16)), RGB, 0, (),
    ),
    "deflate, predictor": (
        tiff(DEEP, photometric="rgb", compression="zlib", predictor=True), RGB, 0, (),
    ),
    "LZW of 16 bits": (tiff(TWELVE, photometric="rgb", compression="lzw"), RGB, 1,
                       ("12-bit values in 16 bits",)),
    "LZW of grey": (tiff(GREY, photometric="minisblack", compression="lzw"), GREY_3, 0, ()),
    "floats": (tiff((RGB / 255).astype(np.float32), photometric="rgb"), RGB, 0, ()),
    "half floats": (tiff((GREY / 255).astype(np.float16), photometric="minisblack"), GREY_3, 1, ()),
    "white is zero": (tiff(255 - GREY, photometric="miniswhite"), GREY_3, 0, ()),
    "white is zero in 16 bits": (
        tiff(65535 - GREY.astype(np.uint16) * 257, photometric="miniswhite"), GREY_3, 0, (),
    ),
    "signed": (tiff(GREY.astype(np.int16), photometric="minisblack"), GREY_3, 0,
               ("8-bit values in 16 bits",)),
    "alpha": (
        tiff(bands(ALPHA), photometric="rgb", extrasamples=["unassalpha"]), RGBA, 1,
        ("50 % transparent, laid on white",),
    ),
    "alpha in 16 bits over 12-bit colours": (
        tiff(np.dstack([TWELVE, ALPHA.astype(np.uint16) * 257]), photometric="rgb",
             extrasamples=["unassalpha"]), RGBA, 1,
        ("12-bit values in 16 bits", "50 % transparent, laid on white"),
    ),
    "premultiplied alpha": (
        tiff(np.rint(bands(ALPHA) * (bands(ALPHA)[..., 3:] / 255.0) ** [1, 1, 1, 0])
             .astype(np.uint8), photometric="rgb", extrasamples=["assocalpha"]), RGBA, 1,
        ("50 % transparent, laid on white",),
    ),
    "grey and alpha": (
        tiff(np.dstack([GREY, ALPHA]), photometric="minisblack", planarconfig="contig",
             extrasamples=["unassalpha"]), LA, 1, ("50 % transparent, laid on white",),
    ),
    "infrared is no alpha": (
        tiff(bands(INFRARED), photometric="rgb", extrasamples=["unspecified"]), RGB, 0,
        ("band 4 of 4 left out",),
    ),
    "two more bands": (
        tiff(bands(INFRARED, INFRARED), photometric="rgb", extrasamples=["unspecified"] * 2), RGB,
        0, ("bands 4, 5 of 5 left out",),
    ),
    "three bands of no said meaning": (
        tiff(DEEP, photometric="minisblack", planarconfig="contig"), RGB, 0,
        ("3 bands taken as red, green and blue",),
    ),
    "stack": (
        tiff(np.stack([GREY, 255 - GREY, GREY]), photometric="minisblack"), GREY_3, 0,
        ("page 1 of 3",),
    ),
    "hyperstack": (
        tiff(np.stack([GREY, 255 - GREY]), photometric="minisblack", imagej=True), GREY_3, 0,
        ("page 1 of 2",),
    ),
    # 6: the stored first row is the right side of the upright image, its first column the top.
    "turned": (
        tiff(np.ascontiguousarray(np.rot90(RGB)), photometric="rgb",
             extratags=[(274, "H", 1, 6, True)]), RGB, 0, ("turned upright (orientation 6)",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_tiff_is_read_as_it_is_meant(case, tmp_path):
    content, known, tolerance, notes = CASES[case]
    (tmp_path / "a.tif").write_bytes(content)
    for source in (tmp_path / "a.tif", content):
        read = read_image(source)
        assert close(read.pixels, known, tolerance)
        assert read.notes == notes


def test_palettes_of_tiffs_are_read_in_their_colours():
    content = io.BytesIO()
    palette().save(content, "TIFF")
    assert close(load_image(content), RGB, 0)


def test_reduced_images_are_no_pages():
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as writer:
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
        writer.write(RGB, photometric="rgb")
    read = read_image(content)
    assert close(read.pixels, RGB, 0)
    assert read.notes == ()


@pytest.mark.parametrize(
    ("values", "options", "problem"),
    [
        (np.zeros((32, 48, 5), np.uint16), {"photometric": "minisblack", "planarconfig": "contig"},
         r"has 5 bands of 16 bits \(uint16\); give 1, or 3"),
        (np.zeros((32, 48), np.complex64), {}, "complex64; save it as 8 or 16 bits"),
        (np.zeros((32, 48), np.float32) - 1, {}, r"from -1 to -1; bring them to"),
        (np.zeros((8, 48), np.uint8), {}, "48 x 8 px; give at least 16"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(values, options, problem):
    with pytest.raises(ImageError, match=problem):
        load_image(tiff(values, **options))


def test_a_declared_size_is_refused_before_memory_is_taken():
    content = tiff(GREY)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tags = file.pages[0].tags
        changed = bytearray(content)
        for name in ("ImageWidth", "ImageLength"):
            entry = tags[name].offset  # code, type, count, value
            changed[entry + 2 : entry + 4] = (4).to_bytes(2, "little")
            changed[entry + 8 : entry + 12] = (10**9).to_bytes(4, "little")
    with pytest.raises(ImageError, match="1000000000 x 1000000000 px; make it at most"):
        load_image(bytes(changed))


@pytest.mark.parametrize("tag", ["PhotometricInterpretation", "BitsPerSample", "Compression"])
def test_a_tag_of_very_many_values_gives_a_line_that_can_be_read(tag):
    content = bytearray(tiff(np.zeros((300, 300), np.uint8)))
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        entry = file.pages[0].tags[tag].offset
    content[entry + 4 : entry + 8] = (250).to_bytes(4, "little")  # how many values it has
    content[entry + 8 : entry + 12] = (8).to_bytes(4, "little")  # where they lie
    with pytest.raises(ImageError) as refused:
        load_image(bytes(content))
    assert len(str(refused.value)) < 300


# Made with imagecodecs, read without it.
NEEDS = tiff(np.dstack([DEEP, DEEP[..., 0]]), photometric="rgb", compression="lzw",
             extrasamples=["unassalpha"])  # fmt: skip


def test_without_imagecodecs_the_same_comes_out_or_its_name(tmp_path):
    (tmp_path / "cases").write_bytes(pickle.dumps((CASES, NEEDS)))
    code = f"""
import sys
sys.modules["imagecodecs"] = None
import pickle, numpy as np
from trace_edges.images import read_image, ImageError
cases, needs = pickle.load(open({str(tmp_path / "cases")!r}, "rb"))
for case, (content, known, tolerance, notes) in cases.items():
    read = read_image(content)
    assert np.abs(read.pixels.astype(int) - known).max() <= max(tolerance, 1), case
    assert read.notes == notes, (case, read.notes)
try:
    read_image(needs)
except ImageError as error:
    assert 'compressed by LZW: pip install "trace-edges[formats]"' in str(error), error
else:
    raise AssertionError("read")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_damaged_end_of_the_chain_does_not_cost_the_first_page():
    content = tiff(GREY, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        following = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
    damaged = bytearray(content)
    damaged[following : following + 4] = (len(content) - 3).to_bytes(4, "little")
    assert close(load_image(bytes(damaged)), GREY_3, 0)


def test_jpeg_in_tiff_and_lab_are_left_to_pillow():
    content = io.BytesIO()
    Image.fromarray(RGB).save(content, "TIFF", compression="jpeg", quality=95)
    assert close(load_image(content), RGB, 20)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (8, 1)])
def test_luma_and_chroma_without_compression_are_read_in_their_colours(orientation, turns):
    content = io.BytesIO()
    Image.fromarray(RGB).convert("YCbCr").save(content, "TIFF", tiffinfo={274: orientation})
    assert close(load_image(content), np.rot90(RGB, turns), 3)


@pytest.mark.parametrize("back", [0, 1, 2])
def test_pages_that_point_at_one_another_are_counted_once(back):
    content = bytearray(tiff(np.stack([GREY, GREY, GREY]), photometric="minisblack", metadata=None))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        last, tags = file.pages[2].offset, len(file.pages[2].tags)
        struct.pack_into("<I", content, last + 2 + 12 * tags, file.pages[back].offset)
    assert read_image(bytes(content)).notes == ("page 1 of 3",)


def test_nothing_is_printed_where_the_size_alone_is_asked_for(tmp_path):
    path = tmp_path / "cut.tif"
    path.write_bytes(tiff(RGB)[:8])
    code = f"""
from trace_edges.images import ImageError, image_size
try:
    image_size({str(path)!r})
except ImageError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")
