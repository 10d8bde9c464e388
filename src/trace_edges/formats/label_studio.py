"""Instance masks as Label Studio predictions, written: brush strokes that annotators start from.

What annotators export is read in `label_studio_tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
from jaxtyping import Bool

from trace_edges.files import write_json
from trace_edges.formats.listing import Entry, OneOrMany, by_name, check_name, plain
from trace_edges.results import InstanceMasks
from trace_edges.results.labels import Window

_WORD, _SIZES = 8, (3, 4, 8, 16)  # bits of a value, and of the lengths that a block may have
_CHANNELS = 4  # a brush stroke is an RGBA image


def export_label_studio(
    masks: OneOrMany[InstanceMasks],
    path: str | PathLike[str],
    *,
    images: OneOrMany[str],
    category: str = "object",
    version: str = "trace-edges",
) -> None:
    """Write the tasks of a Label Studio project with one prediction each, to import as JSON.

    Masks are run-length coded brush strokes, so holes, parts and overlaps are kept to the pixel.
    The project needs this labelling interface, with `category` for "object":

        <View>
          <Image name="image" value="$image"/>
          <BrushLabels name="mask" toName="image"><Label value="object"/></BrushLabels>
        </View>

    Args:
        masks: one result, several, or a mapping by image name, without a suffix, of which one is
            taken after the other; the images of a list are called 000001, 000002, ...
        path: of the JSON.
        images: where Label Studio finds each image, by name or in the order of the masks: a URL,
            or the path of its local storage, as /data/local-files/?d=photos/cat.jpg.
        category: the label of every mask.
        version: what Label Studio calls the model.

    Raises:
        OSError: the file cannot be written.
        ValueError: an image name leads out of the folder of results, or `images` lacks it.
    """
    masks = by_name(masks)
    places: Mapping[str, str] = by_name(images)
    tasks = []
    for name in sorted(masks):
        check_name(name)
        if name not in places:
            raise ValueError(f"images lacks {name}: say where Label Studio finds it")
        result = strokes(masks[name], name, [category] * len(masks[name]))
        prediction = {"model_version": version, "result": result}
        tasks.append({"data": {"image": places[name]}, "predictions": [prediction]})
    write_json(tasks, path)


def strokes(instances: InstanceMasks, name: str, categories: Sequence[str]) -> list[Entry]:
    """The result of a prediction: a brush stroke for each mask, with the name of its category."""
    height, width = instances.shape
    return [
        {
            "id": f"{name}-{number}",
            "type": "brushlabels",
            "from_name": "mask",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": list(brush_rle(crop, window, instances.shape)),
                "brushlabels": [category],
            },
            "score": plain(score),
        }
        for number, (crop, window, score, category) in enumerate(
            zip(instances.crops, instances.windows, instances.scores, categories, strict=True), 1
        )
    ]


def brush_rle(crop: Bool[np.ndarray, "a b"], window: Window, size: tuple[int, int]) -> bytes:
    """A mask in Label Studio's run lengths: of its RGBA image, row by row, 255 inside.

    After the count of values (32 bits), the bits of a value less one (5) and of each kind of length
    less one (4 x 4), a run is: 1, which kind of length (2), the length less one, the value.

    Args:
        crop: the mask within its box.
        window: the rows and columns of the box.
        size: (h, w) of the image.
    """
    values = size[0] * size[1] * _CHANNELS
    rows, columns = np.nonzero(np.diff(crop, axis=1, prepend=False, append=False))
    places = (rows + window[0].start) * size[1] + columns + window[1].start
    # Where a row ends at the right border and the next begins at the left one, nothing changes.
    places, times = np.unique(places, return_counts=True)
    turns = np.concatenate([[0], _CHANNELS * places[times == 1], [values]])
    code = [f"{values:032b}", f"{_WORD - 1:05b}", *(f"{bits - 1:04b}" for bits in _SIZES)]
    longest = 2 ** _SIZES[-1]
    for number, length in enumerate(np.diff(turns).tolist()):
        word = "01"[number % 2] * _WORD
        full, rest = divmod(length, longest)
        code.append(_run(longest, word) * full + (_run(rest, word) if rest else ""))
    bits = "".join(code)
    count = -(-len(bits) // 8)
    return int(bits.ljust(8 * count, "0"), 2).to_bytes(count, "big")


def _run(length: int, word: str) -> str:
    kind = next(n for n, bits in enumerate(_SIZES) if length <= 2**bits)
    return f"1{kind:02b}{length - 1:0{_SIZES[kind]}b}{word}"
