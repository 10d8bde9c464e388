"""Known pictures, made in code, through every format, mode, orientation and kind of bad input."""

import io
import itertools
import math
import pickle
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from trace_edges import images
from trace_edges.images import (
    ImageError,
    load_image,
    load_images,
    model_size,
    resize_image,
    to_tensor,
)

HEIGHT, WIDTH = 32, 48  # quadrants of whole 8 x 8 blocks, so that JPEG keeps them flat


def quadrants(values, dtype=np.uint8):
    """Four flat quarters: top left, top right, bottom left, bottom right."""
    corners = np.asarray(values, dtype)
    corners = corners.reshape(2, 2, *corners.shape[1:])
    return corners.repeat(HEIGHT // 2, 0).repeat(WIDTH // 2, 1)


RGB = quadrants([(200, 30, 40), (20, 180, 60), (30, 60, 220), (128, 128, 128)])
GREY = quadrants([200, 20, 90, 128])
ALPHA = quadrants([255, 0, 128, 255])
BITS = quadrants([255, 0, 0, 255])


def repeated(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def over_white(pixels, alpha=ALPHA):
    opacity = alpha[..., None] / 255
    return np.rint(pixels * opacity + 255 * (1 - opacity))


def with_alpha(pixels):
    image = Image.fromarray(pixels)
    image.putalpha(Image.fromarray(ALPHA))
    return image


def palette(pixels=RGB):
    return Image.fromarray(pixels).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)


def cmyk():
    return Image.fromarray(np.dstack([255 - RGB, np.zeros_like(GREY)]), "CMYK")


def encode(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def close(loaded, expected, tolerance):
    assert loaded.dtype == np.uint8
    assert loaded.shape == np.shape(expected)
    return np.abs(loaded.astype(int) - expected).max() <= tolerance


PLAIN, GREYS, BLACK_WHITE = (Image.fromarray(pixels) for pixels in (RGB, GREY, BITS))
BLACK_WHITE = BLACK_WHITE.convert("1")
DEEP = GREY.astype(np.uint16) * 257
GREY_DEEP, GREY_INT = Image.fromarray(DEEP), Image.fromarray(DEEP.astype(np.int32))
GREY_MSB = Image.frombytes("I;16B", PLAIN.size, DEEP.astype(">u2").tobytes())
GREY_TO_1, GREY_TO_255 = (Image.fromarray((GREY / top).astype(np.float32)) for top in (255, 1))
THIRD = quadrants([0, 0, 255, 0])  # white over the third quarter, whose colour is the key below
KEYED, KEYED_GREY = np.maximum(RGB, repeated(THIRD)), repeated(np.maximum(GREY, THIRD))
THIRD_INDEX = palette().getpixel((0, HEIGHT - 1))
GREY_3, BITS_3 = repeated(GREY), repeated(BITS)
RGBA, LA = over_white(RGB), over_white(GREY_3)
JPEG, LOSSLESS = {"quality": 95, "subsampling": 0}, {"lossless": True}
TWO_FRAMES = {"save_all": True, "append_images": [palette(255 - RGB)]}
CASES = {  # format, image, options of saving, known result, tolerance
    "jpeg": ("JPEG", PLAIN, JPEG, RGB, 3),
    "jpeg grey": ("JPEG", GREYS, JPEG, GREY_3, 2),
    "jpeg cmyk, inverted": ("JPEG", cmyk(), JPEG, RGB, 4),
    "png": ("PNG", PLAIN, {}, RGB, 0),
    "png 1 bit": ("PNG", BLACK_WHITE, {}, BITS_3, 0),
    "png grey": ("PNG", GREYS, {}, GREY_3, 0),
    "png grey, key": ("PNG", GREYS, {"transparency": 90}, KEYED_GREY, 0),
    "png rgb, key": ("PNG", PLAIN, {"transparency": (30, 60, 220)}, KEYED, 0),
    "png 16 bit": ("PNG", GREY_DEEP, {}, GREY_3, 0),
    "png 16 bit, key": ("PNG", GREY_DEEP, {"transparency": 90 * 257}, KEYED_GREY, 0),
    "png palette": ("PNG", palette(), {}, RGB, 0),
    "png palette, alphas": ("PNG", with_alpha(RGB).quantize(8), {}, RGBA, 1),
    "png palette, key": ("PNG", palette(), {"transparency": THIRD_INDEX}, KEYED, 0),
    "png LA": ("PNG", with_alpha(GREY), {}, LA, 1),
    "png RGBA": ("PNG", with_alpha(RGB), {}, RGBA, 1),
    "webp": ("WEBP", PLAIN, LOSSLESS, RGB, 0),
    "webp RGBA": ("WEBP", with_alpha(RGB), LOSSLESS, RGBA, 1),
    "tiff": ("TIFF", PLAIN, {}, RGB, 0),
    "tiff lzw": ("TIFF", PLAIN, {"compression": "tiff_lzw"}, RGB, 0),
    "tiff 1 bit": ("TIFF", BLACK_WHITE, {}, BITS_3, 0),
    "tiff palette": ("TIFF", palette(), {}, RGB, 0),
    "tiff PA": ("TIFF", palette().convert("PA"), {}, RGB, 0),
    "tiff LA": ("TIFF", with_alpha(GREY), {}, LA, 1),
    "tiff RGBA": ("TIFF", with_alpha(RGB), {}, RGBA, 1),
    "tiff cmyk": ("TIFF", cmyk(), {}, RGB, 1),
    "tiff YCbCr": ("TIFF", PLAIN.convert("YCbCr"), {}, RGB, 2),
    "tiff LAB": ("TIFF", PLAIN.convert("LAB"), {}, RGB, 10),  # 8-bit LAB is that coarse
    "tiff 16 bit": ("TIFF", GREY_DEEP, {}, GREY_3, 0),
    "tiff 16 bit, MSB first": ("TIFF", GREY_MSB, {}, GREY_3, 0),
    "tiff 32 bit": ("TIFF", GREY_INT, {}, GREY_3, 0),
    "tiff float to 1": ("TIFF", GREY_TO_1, {}, GREY_3, 0),
    "tiff float to 255": ("TIFF", GREY_TO_255, {}, GREY_3, 0),
    "tiff, first of two": ("TIFF", PLAIN, TWO_FRAMES, RGB, 0),
    "bmp": ("BMP", PLAIN, {}, RGB, 0),
    "bmp grey": ("BMP", GREYS, {}, GREY_3, 0),
    "gif": ("GIF", palette(), {}, RGB, 0),
    "gif, key": ("GIF", palette(), {"transparency": THIRD_INDEX}, KEYED, 0),
    "gif, first of two": ("GIF", palette(), TWO_FRAMES, RGB, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_every_format_and_mode_comes_back_as_the_known_rgb(case, tmp_path):
    kind, image, options, expected, tolerance = CASES[case]
    content = encode(image, kind, **options)
    path = tmp_path / "picture"
    path.write_bytes(content)
    for source in (path, str(path), content, io.BytesIO(content)):
        assert close(load_image(source), expected, tolerance)
    with path.open("rb") as file, Image.open(path) as image:
        file.read(7)
        assert close(load_image(file), expected, tolerance)
        assert close(load_image(image), expected, tolerance)


def test_cmyk_jpeg_was_really_inverted_as_adobe_does_it():
    assert b"Adobe" in encode(cmyk(), "JPEG")


def test_lab_has_its_known_answer():
    red = np.full((HEIGHT, WIDTH, 3), (138, 81, 70), np.uint8)  # sRGB red: L 54.3, a 80.8, b 69.9
    content = encode(Image.frombytes("LAB", PLAIN.size, red.tobytes()), "TIFF")
    assert red.tobytes() in content
    assert close(load_image(content), np.broadcast_to((255, 0, 0), red.shape), 6)


@pytest.mark.parametrize(("mode", "tolerance"), [("HSV", 6), ("RGBX", 0), ("YCbCr", 2)])
def test_further_modes_of_pillow_images(mode, tolerance):
    assert close(load_image(PLAIN.convert(mode)), RGB, tolerance)


@pytest.mark.parametrize(("mode", "pixels", "known"), [("La", GREY, LA), ("RGBa", RGB, RGBA)])
def test_premultiplied_alpha(mode, pixels, known):
    assert close(load_image(with_alpha(pixels).convert(mode)), known, 2)


# TIFF 6.0 and EXIF: which side of the picture the stored first row and first column are.
SIDES = ["top left", "top right", "bottom right", "bottom left"]
SIDES += ["left top", "right top", "right bottom", "left bottom"]
OPPOSITE = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation, kind):
    corner = {
        frozenset(sides): colour
        for sides, colour in zip(
            itertools.product(("top", "bottom"), ("left", "right")),
            (RGB[0, 0], RGB[0, -1], RGB[-1, 0], RGB[-1, -1]),
            strict=True,
        )
    }
    row, column = SIDES[orientation - 1].split()
    sides = itertools.product((row, OPPOSITE[row]), (column, OPPOSITE[column]))
    height, width = (HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT)
    stored = np.array([corner[frozenset(pair)] for pair in sides]).reshape(2, 2, 3)
    stored = Image.fromarray(stored.repeat(height // 2, 0).repeat(width // 2, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": JPEG, "WEBP": {"lossless": True}}.get(kind, {})
    content = encode(stored, kind, exif=exif, **options)
    for source in (content, Image.open(io.BytesIO(content))):
        assert close(load_image(source), RGB, 3)


def test_unknown_and_damaged_orientations_mean_upright():
    exif = Image.Exif()
    exif[0x0112] = 9
    assert close(load_image(encode(PLAIN, "PNG", exif=exif)), RGB, 0)
    assert close(load_image(encode(PLAIN, "PNG", exif=b"Exif\0\0no exif at all")), RGB, 0)


@pytest.mark.parametrize(
    ("highest", "bits"),
    [(255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (16383, 14), (16384, 16)],
)
def test_16_bit_grey_is_scaled_by_the_bits_that_hold_its_maximum(highest, bits):
    values = np.linspace(0, highest, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    expected = repeated(values / (2**bits - 1) * 255)
    assert close(load_image(values), expected, 0.51)
    assert close(load_image(encode(Image.fromarray(values), "PNG")), expected, 0.51)


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(16, 40)] * 2, st.sampled_from([1, 3, 4]))))
def test_arrays_and_tensors_of_any_layout_agree(array):
    channels = array.shape[2]
    expected = (
        over_white(array[..., :3], array[..., 3])
        if channels == 4
        else array.repeat(4 - channels, 2)
    )[..., :3]
    tensor = torch.from_numpy(np.moveaxis(array, 2, 0).copy())
    for source in (array, array / 255, tensor, tensor / 255, (tensor / 255).double()):
        assert close(load_image(source), expected, 0)
    if channels == 1:
        assert close(load_image(array[..., 0]), expected, 0)
        assert close(load_image(tensor[0] > 99), 255 * (expected > 99), 0)
        assert close(load_image(array > 99), 255 * (expected > 99), 0)


def test_half_precision_and_gradients_are_accepted():
    tensor = torch.from_numpy(np.moveaxis(RGB, 2, 0) / 255)
    assert close(load_image(tensor.to(torch.bfloat16)), RGB, 1)
    assert close(load_image(tensor.half().requires_grad_()), RGB, 1)


def test_the_result_is_a_new_array():
    array = RGB.copy()
    load_image(array)[:] = 0
    assert np.array_equal(array, RGB)
    assert load_image(PLAIN).flags.writeable
    assert load_image(PLAIN).flags.c_contiguous


def test_lists_and_batches_are_split(tmp_path):
    PLAIN.save(tmp_path / "a.png")
    loaded = load_images([tmp_path / "a.png", GREYS, RGB[:20]])
    assert [image.shape for image in loaded] == [(32, 48, 3), (32, 48, 3), (20, 48, 3)]
    assert len(load_images(tmp_path / "a.png")) == len(load_images(RGB)) == 1
    batch = np.stack([RGB, 255 - RGB])
    tensor = torch.from_numpy(np.moveaxis(batch, 3, 1).copy())
    for source in (batch, tensor, tensor / 255):
        assert np.array_equal(load_images(source), batch)
    for empty in ([], batch[:0], tensor[:0]):
        with pytest.raises(ImageError, match="empty"):
            load_images(empty)
    with pytest.raises(ImageError, match=r"^image 2 of the list: .*16 px"):
        load_images([RGB, RGB[:9]])
    with pytest.raises(ImageError, match=r"lost\.png: there is no such file"):
        load_images([RGB, tmp_path / "lost.png"])


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
    monkeypatch.setattr(images, "open", deny, raising=False)  # root may read everything
    refused(tmp_path / "locked.png", tmp_path / "locked.png", "(Permission denied); check its")


def test_bad_file_objects_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with open(tmp_path / "a.txt") as file:
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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_pillows_limit_neither_warns_nor_refuses_nor_changes(kind, monkeypatch):
    large = Image.new("L", (2000, 1200), 128)
    content = encode(large, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_100_000)  # Pillow refuses twice that
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(content))
    if kind == "WEBP":  # whose reader has a check of its own, at twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_300_000)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert close(load_image(content), np.full((1200, 2000, 3), 128), 0)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_108_megapixels_load_without_a_warning():
    content = encode(Image.new("1", (12_000, 9_000), 1), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_image(content)
    assert loaded.shape == (9_000, 12_000, 3)
    assert loaded[-1, -1].tolist() == [255, 255, 255]


def test_no_wide_copy_has_the_size_of_the_image():
    array = np.full((4000, 3000), 4000, np.uint16)
    tracemalloc.start()
    load_image(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.size * (3 + 2)  # the result's 3 bytes; a float32 copy alone would take 4


SIDE = st.integers(16, 12_000)


@given(SIDE, SIDE, st.integers(64, 2048), st.sampled_from([8, 14, 16, 32]))
def test_model_size_keeps_area_and_aspect_within_the_rounding(height, width, resolution, multiple):
    sides = model_size(height, width, resolution, multiple)
    assert sides == model_size(width, height, resolution, multiple)[::-1]
    assert all(side % multiple == 0 and side >= 2 * multiple for side in sides)
    scale = resolution / math.sqrt(height * width)
    exact = height * scale, width * scale
    for side, wanted in zip(sides, exact, strict=True):
        assert abs(side - wanted) <= multiple / 2 + 1e-6 or wanted < side == 2 * multiple
    if min(exact) >= 2 * multiple:
        slack = [multiple / (2 * wanted - multiple) for wanted in exact]
        bound = (1 + slack[0]) * (1 + slack[1]) + 1e-9
        assert 1 / bound <= sides[0] * sides[1] / resolution**2 <= bound
        assert 1 / bound <= (sides[0] / sides[1]) / (height / width) <= bound


def test_model_size_has_its_known_answers():
    assert model_size(480, 640, 512, 16) == (448, 592)  # 443.4, 591.2
    assert model_size(300, 300, 512, 8) == (512, 512)
    assert model_size(9, 10_000, 64, 16) == (32, 2128)  # 1.9, 2133
    for wrong in ((480, 640, 31, 16), (0, 640, 512, 16), (480, 640, 512, 0)):
        with pytest.raises(ValueError, match="give at least"):
            model_size(*wrong)


def test_resize_keeps_flat_places_and_smooths_stripes():
    half, twice = resize_image(RGB, (16, 24)), resize_image(RGB, (64, 96))
    for resized in (half, twice):
        corners = resized[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.array_equal(corners, RGB[[0, 0, -1, -1], [0, -1, 0, -1]])
    assert (half.shape, twice.shape) == ((16, 24, 3), (64, 96, 3))
    stripes = repeated(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    inside = resize_image(stripes, (16, 16))[:, 2:-2].astype(float)
    assert np.abs(inside - 127.5).max() <= 10  # grey, neither aliased nor one of the two
    assert np.array_equal(resize_image(RGB, (HEIGHT, WIDTH)), RGB)


def test_to_tensor_maps_to_minus_one_and_one():
    tensor = to_tensor(np.broadcast_to(np.array([0, 51, 255], np.uint8), (4, 5, 3)))
    assert tensor.shape == (3, 4, 5)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    torch.testing.assert_close(tensor[:, 1, 1], torch.tensor([-1.0, -0.6, 1.0]))
    assert torch.equal(to_tensor(RGB), to_tensor(RGB[::-1]).flip(1))
