"""Known pictures through every format, mode, orientation and layout."""

import io
import itertools

import numpy as np
import PIL
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from trace_edges.images import ImageError, load_image, load_images

from .known_pictures import (
    BITS_3,
    BLACK_WHITE,
    GREY,
    GREY_3,
    GREY_DEEP,
    GREY_INT,
    GREY_MSB,
    GREY_TO_1,
    GREY_TO_255,
    GREYS,
    HEIGHT,
    JPEG,
    KEYED,
    KEYED_GREY,
    LA,
    LOSSLESS,
    PLAIN,
    RGB,
    RGBA,
    THIRD_INDEX,
    TWO_FRAMES,
    WIDTH,
    close,
    cmyk,
    encode,
    over_white,
    palette,
    repeated,
    with_alpha,
)

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
    if case == "tiff YCbCr" and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 cannot read the TIFF of YCbCr that it writes")
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


def test_floats_just_above_1_are_not_taken_for_a_black_image():
    """As cubic resizing overshoots, or a lamp in a rendering does."""
    with pytest.raises(
        ImageError, match=r"has values from 0.* to 1\.02; bring them to \[0, 1\] or"
    ):
        load_image(RGB / RGB.max() * 1.02)
    assert np.array_equal(load_image(RGB.astype(np.float32)), RGB)


def test_floats_to_255_may_have_an_alpha_to_1():
    opaque = np.ones_like(RGB[..., :1], dtype=np.float32)
    assert np.array_equal(load_image(np.dstack([RGB, opaque])), RGB)


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
