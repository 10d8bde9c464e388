"""What is accepted is understood: sound files whose right answer is known by how they are made."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from trace_edges.formats.edge_maps import read_edge_map
from trace_edges.formats.labels import read_labels, read_masks
from trace_edges.formats.semantic import read_semantic
from trace_edges.images import ImageError, image_size, read_image

HEIGHT, WIDTH = 24, 40
DRAW = np.random.default_rng(0)


def numbers(bits, *channels):
    """Every number of so many bits, drawn."""
    return DRAW.integers(0, 2**bits, (HEIGHT, WIDTH, *channels))


def packed(values, bits):
    """Rows of numbers, the highest bit first, each row in whole bytes."""
    rows = values.reshape(len(values), -1, 1) >> np.arange(bits - 1, -1, -1) & 1
    return [np.packbits(row.astype(np.uint8).ravel()).tobytes() for row in rows]


def png(values, bits, colour, *more):
    """A PNG as its specification has it, with (kind, content) of further chunks."""
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in packed(values, bits)))
    chunks = [(b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held))
        for kind, held in chunks
    )


def tiff(values, bits, photometric):
    """A TIFF of one strip of grey or RGB as its specification has it: of any number of bits."""
    samples, data = values.size // (HEIGHT * WIDTH), b"".join(packed(values, bits))
    depths = struct.pack("<3H", bits, bits, bits)
    at = 8 + len(data)
    tags = [
        (256, 4, 1, WIDTH), (257, 4, 1, HEIGHT),
        (258, 3, samples, at if samples == 3 else bits), (259, 3, 1, 1), (262, 3, 1, photometric),
        (273, 4, 1, 8), (277, 3, 1, samples), (278, 4, 1, HEIGHT), (279, 4, 1, len(data)),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = struct.pack("<I", at + len(depths))
    return b"II*\0" + start + data + depths + struct.pack("<H", len(tags)) + directory + bytes(4)


def written(values, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, values, **options)
    return content.getvalue()


def saved(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def brightness(values, bits):
    """0..255 of numbers of so many bits."""
    return np.rint(values * (255 / (2**bits - 1)))


def keyed(bits):
    """A PNG of grey whose first number is transparent."""
    values = numbers(bits)
    seen = np.where(values == values[0, 0], 255, brightness(values, bits))
    return png(values, bits, 0, (b"tRNS", struct.pack(">H", values[0, 0]))), seen


def multiplied(highest):
    """16-bit colours that are multiplied with their alpha, up to a highest one."""
    alpha, colours = numbers(16, 1), DRAW.integers(0, highest + 1, (HEIGHT, WIDTH, 3))
    held = np.rint(colours * (alpha / 65535))
    content = written(np.dstack([held, alpha]).astype(np.uint16), photometric="rgb",
                      extrasamples=["assocalpha"])  # fmt: skip
    return content, (held + 65535 - alpha) / 257


def jpeg_2000(bits, channels):
    codecs = pytest.importorskip("imagecodecs")
    values = numbers(bits, *channels).astype(np.uint8 if bits < 9 else np.uint16)
    options = {"bitspersample": bits, "level": 0, "reversible": True}
    return codecs.jpeg2k_encode(values, **options), brightness(values, bits)


def jpeg_xl(bits, highest):
    codecs = pytest.importorskip("imagecodecs")
    values = DRAW.integers(0, highest, (HEIGHT, WIDTH, 3))
    values = values.astype(np.uint8 if bits < 9 else np.uint16)
    return codecs.jpegxl_encode(values, lossless=True, bitspersample=bits), brightness(values, bits)


def few(bits, photometric, highest):
    """A TIFF whose numbers stay below those that its bits hold."""
    values = DRAW.integers(0, highest, (HEIGHT, WIDTH, *([3] if photometric == 2 else [])))
    seen = brightness(values, bits)
    return tiff(values, bits, photometric), 255 - seen if photometric == 0 else seen


def whole_type(dtype):
    top = np.iinfo(dtype).max
    values = DRAW.integers(0, top + 1, (HEIGHT, WIDTH))
    return written(values.astype(dtype), photometric="minisblack"), values * (255 / top)


IMAGES = {
    **{f"PNG with a key in {bits} bits": (keyed, bits) for bits in (1, 2, 4, 8)},
    **{f"TIFF of {bits} bits, dark, photometric {photometric}": (
           few, bits, photometric, 2**bits // 9)
       for bits in (10, 12, 14) for photometric in (0, 1, 2)},
    "signed, 16 bits": (whole_type, np.int16),
    "signed, 8 bits": (whole_type, np.int8),
    "multiplied, dark": (multiplied, 4000),
    "multiplied": (multiplied, 65535),
    **{f"JPEG 2000 of {bits} bits, {channels} channels": (jpeg_2000, bits, channels)
       for bits in (1, 4, 8, 10, 12) for channels in ((), (3,))},
    **{f"JPEG XL of {bits} bits, up to {highest}": (jpeg_xl, bits, highest)
       for bits in (2, 4, 8, 10, 12, 14, 16) for highest in (2**bits // 4, 2**bits)
       if (bits, highest) != (16, 2**14)},
}  # fmt: skip


@pytest.mark.parametrize("case", IMAGES)
def test_an_image_that_is_accepted_is_understood(case):
    make, *given = IMAGES[case]
    content, seen = make(*given)
    seen = seen if seen.ndim == 3 else seen[..., None].repeat(3, axis=-1)
    assert np.abs(read_image(content).pixels - seen).max() <= 1


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (numbers(16, 4).transpose(2, 0, 1).astype(np.uint16), {"photometric": "separated"}),
        (numbers(8, 3).transpose(2, 0, 1).astype(np.uint8), {"photometric": "cielab"}),
    ],
)
def test_planes_that_would_be_mixed_up_are_refused(values, options):
    with pytest.raises(ImageError, match="in planes; save it as RGB"):
        read_image(written(values, planarconfig="separate", **options))


def test_a_turned_jpeg_xl_is_as_large_as_it_is_shown():
    """24 x 16 px of red and black above blue, to be turned by 90 degrees clockwise."""
    pytest.importorskip("imagecodecs")
    content = bytes.fromhex(
        "ff0a032d1003080401008c004b188b1500d4991963506e044000888100002213ac07c0ccc6dfff8cdcb37a4278"
        "e45d"
    )
    pixels = read_image(content).pixels
    assert image_size(content) == pixels.shape[:2] == (24, 16)
    assert pixels[0, -1].tolist() == [255, 0, 0]
    assert pixels[0, 0].tolist() == [0, 0, 255]


FLAGS = numbers(1).astype(bool)
LABELS = {  # content, suffix, labels
    **{f"PNG of {bits} bits": (png(values, bits, 0), "png", values)
       for bits in (1, 2, 4, 16) for values in [numbers(bits)]},
    **{f"palette of {bits} bits with a key": (
           png(values, bits, 3, (b"PLTE", bytes(3 * 2**bits)), (b"tRNS", b"\0")), "png", values)
       for bits in (1, 2, 4) for values in [numbers(bits)]},
    **{f"TIFF of {bits} bits, photometric {photometric}": (
           tiff(values, bits, photometric), "tif", values)
       for bits in (2, 4, 12) for photometric in (0, 1) for values in [numbers(bits)]},
    "TIFF of booleans": (written(FLAGS), "tif", FLAGS),
    "TIFF of booleans of Pillow": (saved(Image.fromarray(FLAGS), "TIFF"), "tif", FLAGS),
    "TIFF of 1 bit where white is 0": (tiff(1 - FLAGS, 1, 0), "tif", FLAGS),
}  # fmt: skip


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_are_accepted_are_understood(case, tmp_path):
    content, suffix, labels = LABELS[case]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    (segments,) = read_labels(path)
    assert np.array_equal(segments.labels, labels)
    assert not segments.void.any()
    assert np.array_equal(read_masks(path), labels)
    if labels.max() < 255:
        assert np.array_equal(read_semantic(path), labels)


EDGES = {  # content, suffix, strength of 0 ... 1
    **{f"PNG of {bits} bits": (png(values, bits, 0), "png", values / (2**bits - 1))
       for bits in (1, 2, 4, 8, 16) for values in [numbers(bits)]},
    **{f"TIFF of {bits} bits, photometric {photometric}": (
           tiff(values if photometric else 2**bits - 1 - values, bits, photometric), "tif",
           values / (2**bits - 1))
       for bits in (1, 2, 4, 8, 12) for photometric in (0, 1) for values in [numbers(bits)]},
    "TIFF of booleans": (written(FLAGS), "tif", FLAGS),
    "floats where white is 0": (
        written((1 - FLAGS).astype(np.float32), photometric="miniswhite"), "tif", FLAGS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EDGES)
def test_edges_that_are_accepted_are_understood(case, tmp_path):
    content, suffix, strength = EDGES[case]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    edges = read_edge_map(path)
    top = 1 if edges.dtype.kind == "f" else np.iinfo(edges.dtype).max
    assert np.abs(edges / top - strength).max() <= 1e-5


GREY = numbers(8).astype(np.uint8)
OPAQUE = np.full_like(GREY, 255)


@pytest.mark.parametrize(
    ("read", "content", "suffix", "words"),
    [
        (read_labels, written(np.dstack([GREY, GREY]), photometric="minisblack",
                              planarconfig="contig"), "tif", "band 2 of 2 left out"),
        (read_labels, written(np.dstack([GREY] * 3), photometric="minisblack",
                              planarconfig="contig"), "tif", "3 bands taken as red"),
        (read_edge_map, written(np.stack([GREY, GREY]), photometric="minisblack",
                                planarconfig="separate"), "tif", "band 2 of 2 left out"),
        (read_edge_map, saved(Image.fromarray(GREY).convert("CMYK"), "TIFF"), "tif", "colour"),
        (read_edge_map, saved(Image.fromarray(GREY).convert("CMYK"), "JPEG"), "jpg", "colour"),
        (read_edge_map, saved(Image.fromarray(np.dstack([GREY * 0, GREY])), "PNG"), "png", "alpha"),
    ],
)  # fmt: skip
def test_what_would_be_misunderstood_is_refused(read, content, suffix, words, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read(path)
