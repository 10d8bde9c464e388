"""Pictures of four flat quarters in every mode, made in code, and how to compare them."""

import io

import numpy as np
from PIL import Image

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
