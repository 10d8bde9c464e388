"""Image input: whatever the caller has becomes upright 8-bit RGB, or one clear line of refusal.

What every source is turned into, and by which rule:

* Size: at least 16 px a side and at most 400 megapixels.
* Orientation: the EXIF orientation is applied; a missing or unreadable one means upright.
* Transparency: pixels are composited over white.
* Grey: repeated in the three channels. 16-bit values, and 32-bit integers that fit in 16 bits, are
  scaled by the smallest of 8, 10, 12, 14 and 16 bits that holds the image's maximum, so that a
  12-bit camera does not come out black.
* Float: [0, 1] where no value exceeds 1, else [0, 255]; anything beyond is refused, not clipped.
* Colour: CMYK, YCbCr, HSV and LAB as Pillow converts them; embedded profiles are not applied.
* Several frames or pages: the first (of a `PIL.Image`, the current one).
"""

import io
import math
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import ExifTags, Image, TiffImagePlugin

MIN_SIDE = 16
MAX_PIXELS = 400_000_000

Array: TypeAlias = np.ndarray | torch.Tensor
File: TypeAlias = IO[Any] | io.IOBase  # both, since BytesIO is no IO at run time
ImageSource: TypeAlias = str | os.PathLike[str] | bytes | File | Image.Image | Array
Rows: TypeAlias = Callable[[slice], np.ndarray]  # rows of the stored image: (r, w) or (r, w, c)

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # and no others, whatever Pillow can read


class ImageError(ValueError):
    """An image that cannot be used: one line that names it and says what to do."""


def load_image(source: ImageSource) -> UInt8[np.ndarray, "h w 3"]:
    """Loads one image as a new upright 8-bit RGB array, by the rules at the head of this module.

    Args:
        source: A path, bytes or a binary file object (read from its start where it can seek) with
            a JPEG, PNG, WebP, TIFF, BMP or GIF image; a `PIL.Image`; an array (h, w) or
            (h, w, 1 | 3 | 4) of bool, uint8, uint16 or float; a tensor (h, w) or (1 | 3 | 4, h, w)
            of uint8 or float in [0, 1]. All channels share one range, alpha too.

    Raises:
        ImageError: It is missing, unreadable, damaged, or of another format, type, range or size.
    """
    return _load(source, _name(source))


def load_images(
    source: ImageSource | list[Any] | tuple[Any, ...],
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Loads one image, a list of images, or a batch; each comes back at its own size.

    Args:
        source: Whatever `load_image` takes, a list or tuple of that, an array (n, h, w, c) or a
            tensor (n, c, h, w).

    Raises:
        ImageError: As in `load_image`, naming e.g. "image 3 of the list"; or there is no image.
    """
    if isinstance(source, list | tuple) or (isinstance(source, Array) and source.ndim == 4):
        if len(source) == 0:
            raise ImageError("the list of images is empty; give at least one image")
        return [
            _load(item, _name(item, f"image {number} of the list"))
            for number, item in enumerate(source, 1)
        ]
    return [load_image(source)]


def model_size(height: int, width: int, resolution: int, multiple: int) -> tuple[int, int]:
    """The (height, width) in pixels at which the model looks at an image.

    Both sides are scaled by one factor so that sqrt(H * W) = `resolution`, then rounded to the
    nearest multiple of `multiple` (halves up), and are at least twice that.

    Raises:
        ValueError: `resolution` is below 2 * `multiple`, or a number is not positive.
    """
    if min(height, width, multiple) < 1:
        raise ValueError(f"height {height}, width {width}, multiple {multiple}: give at least 1")
    if resolution < 2 * multiple:
        raise ValueError(f"resolution {resolution} is too small; give at least {2 * multiple}")
    scale = resolution / math.sqrt(height * width)
    cells = (max(2, math.floor(side * scale / multiple + 0.5)) for side in (height, width))
    return next(cells) * multiple, next(cells) * multiple


def resize_image(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """Resizes to `size` = (height, width) with Pillow's Lanczos filter.

    The filter widens with the reduction, so it is antialiased going down as well as smooth going
    up.
    """
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def to_tensor(image: UInt8[np.ndarray, "h w 3"]) -> Float32[torch.Tensor, "3 h w"]:
    """The image as a new float32 tensor on the CPU, 0..255 mapped to [-1, 1]."""
    channels = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(channels).div_(127.5).sub_(1.0)


def _name(source: object, unnamed: str = "the image") -> str:
    """The name of the source in messages: its path where it has one, else `unnamed`."""
    if isinstance(source, str | os.PathLike):
        return str(source) or "the empty path"
    path = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    return path if path and isinstance(path, str) else unnamed


def _refusal(name: str, problem: str) -> ImageError:
    """The error in one line, though names and Pillow's messages may hold line breaks."""
    return ImageError(" ".join(f"{name}: {problem}".splitlines()))


def _load(source: object, name: str) -> UInt8[np.ndarray, "h w 3"]:
    if isinstance(source, str | os.PathLike):
        with _open(source, name) as file:
            return _decode(file, name)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(io.BytesIO(source), name)
    if isinstance(source, Image.Image):
        with _pillow_errors(name):
            return _from_pillow(source, name)
    if isinstance(source, Array):
        return _from_array(source, name)
    if hasattr(source, "read"):
        return _decode(_buffered(source, name), name)
    raise _refusal(name, "is no image; give a path, bytes, a file, a PIL image, array or tensor")


def _open(path: str | os.PathLike[str], name: str) -> io.BufferedReader:
    if re.match(r"https?:[/\\]", str(path), re.IGNORECASE):
        raise _refusal(name, "is a web address; download it first and give the file")
    if os.path.isdir(path):
        raise _refusal(name, "is a folder; give the image files in it")
    if not os.path.exists(path):
        raise _refusal(name, "there is no such file; check the path")
    try:
        return open(path, "rb")
    except OSError as error:
        raise _refusal(name, f"cannot be opened ({error.strerror}); check its rights") from error


def _buffered(file: Any, name: str) -> io.BytesIO:
    """The whole of a file object, from its start where it can seek, as `Image.open` does it."""
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError) as error:
        raise _refusal(name, f"cannot be read ({error}); open it anew with mode 'rb'") from error
    if not isinstance(content, bytes):
        raise _refusal(name, "is opened as text; open it with mode 'rb'")
    return io.BytesIO(content)


@contextmanager
def _pillow_errors(name: str) -> Iterator[None]:
    """Whatever a decoder raises on damaged data (nearly anything) becomes one ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        problem = f"cannot be decoded ({reason}); it is damaged or too unusual, save it anew"
        raise _refusal(name, problem) from error


def _decode(file: io.BytesIO | io.BufferedReader, name: str) -> UInt8[np.ndarray, "h w 3"]:
    # Pillow's readers are called directly: `Image.open` warns from 89 megapixels on and refuses
    # from 179, and that limit could be raised only for the whole process.
    with _pillow_errors(name):
        signature = file.read(16)
        if not signature:
            raise _refusal(name, "is empty (0 bytes); fetch or save it again")
        Image.init()  # registers the readers, once
        for reader, accepts in (Image.OPEN[known] for known in _FORMATS):
            if accepts is None or accepts(signature):
                file.seek(0)
                return _from_pillow(reader(file, ""), name)
    raise _refusal(name, "is not a JPEG, PNG, WebP, TIFF, BMP or GIF image; convert it to one")


def _from_pillow(image: Image.Image, name: str) -> UInt8[np.ndarray, "h w 3"]:
    _check_size(image.height, image.width, name)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tile:
        # Not loaded yet. Pillow would make the memory for it under its limit; here it is made free.
        image.im = Image.new(image.mode, (image.tag_v2[256], image.tag_v2[257])).im  # as stored
    image.load()  # before the orientation is asked for: a TIFF is turned upright as it loads
    image = image.convert("LA") if image.mode == "La" else image  # Pillow knows no other way out
    deep = image.mode == "F" or image.mode.startswith("I")
    mode = image.mode if deep else "RGBA" if image.has_transparency_data else "RGB"

    def rows(band: slice) -> np.ndarray:
        return np.asarray(image.crop((0, band.start, image.width, band.stop)).convert(mode))

    scale = _scale(rows, image.height, image.width, name)
    key = image.info.get("transparency") if deep else None
    return _render(rows, image.height, image.width, scale, _orientation(image), key)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1  # damaged metadata is no reason to refuse good pixels


def _from_array(source: Array, name: str) -> UInt8[np.ndarray, "h w 3"]:
    shape, is_tensor = tuple(source.shape), isinstance(source, torch.Tensor)
    if not (len(shape) == 2 or (len(shape) == 3 and shape[0 if is_tensor else 2] in (1, 3, 4))):
        layout = "(1 | 3 | 4, h, w)" if is_tensor else "(h, w, 1 | 3 | 4)"
        raise _refusal(name, f"has the shape {shape}; give (h, w) or {layout}")
    array = _channels_last(source) if isinstance(source, torch.Tensor) else source
    if array.dtype.kind not in "bf" and array.dtype.str[1:] not in ("u1", "u2"):
        raise _refusal(name, f"has the type {array.dtype}; give uint8, uint16, bool or float")
    height, width = array.shape[:2]
    _check_size(height, width, name)
    scale = _scale(array.__getitem__, height, width, name, 1 if is_tensor else 255)
    return _render(array.__getitem__, height, width, scale)


def _channels_last(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _check_size(height: int, width: int, name: str) -> None:
    if min(height, width) < MIN_SIDE:
        raise _refusal(name, f"is {width} x {height} px; give at least {MIN_SIDE} px a side")
    if height * width > MAX_PIXELS:
        raise _refusal(name, f"is {width} x {height} px; make it at most {MAX_PIXELS:,} pixels")


def _bands(height: int, width: int) -> list[slice]:
    """Rows by about a megapixel, so that no wide copy ever has the size of the image."""
    step = max(1, 2**20 // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def _render(
    rows: Rows, height: int, width: int, scale: float, orientation: int = 1, key: int | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Fills the upright result; `key` is the deep grey value that means transparent, if any."""
    swapped = orientation in (5, 6, 7, 8)
    upright = np.empty((width, height, 3) if swapped else (height, width, 3), np.uint8)
    stored = upright.swapaxes(0, 1) if swapped else upright  # a view: filling it fills `upright`
    flip_rows, flip_columns = orientation in (3, 4, 6, 7), orientation in (2, 3, 7, 8)
    stored = stored[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    for band in _bands(height, width):
        values = rows(band)
        stored[band] = _over_white(values, scale)
        if key is not None:
            stored[band][values == key] = 255
    return upright


def _scale(rows: Rows, height: int, width: int, name: str, float_limit: int = 255) -> float:
    """The factor that takes the image's values to 0..255; refuses values out of range."""
    dtype = rows(slice(0, 1)).dtype
    if dtype == np.uint8 or dtype == np.bool_:
        return 1.0 if dtype == np.uint8 else 255.0
    # NumPy's min and max also over the bands: Python's would lose a NaN.
    lowest = np.min([rows(band).min() for band in _bands(height, width)])
    highest = np.max([rows(band).max() for band in _bands(height, width)])
    limit = float_limit if dtype.kind == "f" else 65535
    if not (lowest >= 0 and highest <= limit):
        allowed = f"[0, {limit}]" if limit != 255 else "[0, 1] or [0, 255]"
        raise _refusal(name, f"has values from {lowest:g} to {highest:g}; bring them to {allowed}")
    if dtype.kind == "f":
        return 255.0 if highest <= 1 else 1.0
    return 255.0 / (2 ** next(bits for bits in (8, 10, 12, 14, 16) if highest < 2**bits) - 1)


def _over_white(values: np.ndarray, scale: float) -> UInt8[np.ndarray, "r w c"]:
    """Rows in 8 bits, of one channel or three; RGBA is composited, rounded to nearest."""
    if values.dtype != np.uint8:
        values = np.rint(values.astype(np.float32) * scale).astype(np.uint8)
    if values.ndim == 2 or values.shape[2] != 4:
        return values.reshape(*values.shape[:2], -1)
    alpha = values[..., 3:].astype(np.uint16)  # the largest sum below is 65152: it fits
    return ((values[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
