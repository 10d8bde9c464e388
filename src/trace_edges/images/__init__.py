"""Image input: whatever the caller has becomes upright 8-bit RGB, or one clear line of refusal.

What every source is turned into, and by which rule:

* Size: at least 16 px a side and at most 400 megapixels, by what the file declares, before memory
  is taken.
* Orientation: the EXIF orientation, or that of a TIFF, is applied; a missing or unreadable one
  means upright. Edges, masks and label maps belong to the upright image, as viewers show it.
* Transparency: pixels are composited over white. Only what a file says to be alpha is alpha.
* Depth: values of fewer bits than whole bytes have are scaled by these where the file says so.
  16-bit values, and wider integers that fit in 16 bits, are scaled by the smallest of 8, 10, 12, 14
  and 16 bits that holds the largest of the image's colours, grey or not, so that a 12-bit camera
  does not come out black; signed ones have 7 or 15 bits at most. Alpha is scaled alike, by at
  least as many bits as the colours, and colours that are multiplied with it by as many as it.
* Grey: repeated in the three channels.
* Float: [0, 1] where no value exceeds 1, else [0, 255]; anything beyond is refused, not clipped.
* Colour: CMYK, YCbCr, HSV and LAB as Pillow converts them; embedded profiles, gamma and the chunks
  of a PNG that tell of either are not applied.
* Several frames or pages: the first (of a `PIL.Image`, the current one).

`read_image` tells which of this was done to an image; `load_image` gives the pixels alone.
"""

from trace_edges.images.loading import (
    ImageSource,
    LoadedImage,
    image_size,
    load_image,
    load_images,
    read_image,
    read_images,
)
from trace_edges.images.sizes import model_size, resize_image, to_model, to_tensor
from trace_edges.images.stored import MAX_PIXELS, MIN_SIDE, ImageError

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "ImageError",
    "ImageSource",
    "LoadedImage",
    "image_size",
    "load_image",
    "load_images",
    "model_size",
    "read_image",
    "read_images",
    "resize_image",
    "to_model",
    "to_tensor",
]
