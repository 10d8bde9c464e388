"""Instance masks as Label Studio predictions, written: brush strokes that annotators start from."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import numpy as np
from jaxtyping import Bool

from trace_edges.files import write_json
from trace_edges.formats.listing import Entry, OneOrMany, by_name, check_name, plain
from trace_edges.results import InstanceMasks

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
        result = _strokes(masks[name], name, category)
        prediction = {"model_version": version, "result": result}
        tasks.append({"data": {"image": places[name]}, "predictions": [prediction]})
    write_json(tasks, path)


def _strokes(instances: InstanceMasks, name: str, category: str) -> list[Entry]:
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
            "value": {"format": "rle", "rle": list(brush_rle(mask)), "brushlabels": [category]},
            "score": plain(score),
        }
        for number, (mask, score) in enumerate(
            zip(instances.masks, instances.scores, strict=True), 1
        )
    ]


def brush_rle(mask: Bool[np.ndarray, "h w"]) -> bytes:
    """A mask in Label Studio's run lengths: of its RGBA image, row by row, 255 inside.

    After the count of values (32 bits), the bits of a value less one (5) and of each kind of length
    less one (4 x 4), a run is: 1, which kind of length (2), the length less one, the value.
    """
    values = mask.ravel()
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    lengths = np.diff(ends, prepend=-1) * _CHANNELS
    code = [f"{values.size * _CHANNELS:032b}", f"{_WORD - 1:05b}"]
    code += [f"{size - 1:04b}" for size in _SIZES]
    longest = 2 ** _SIZES[-1]
    for length, inside in zip(lengths.tolist(), values[ends].tolist(), strict=True):
        value = "1" * _WORD if inside else "0" * _WORD
        full, rest = divmod(length, longest)
        for part in [longest] * full + [rest] * (rest > 0):
            kind = next(n for n, size in enumerate(_SIZES) if part <= 2**size)
            code += ["1", f"{kind:02b}", f"{part - 1:0{_SIZES[kind]}b}", value]
    bits = "".join(code)
    size = -(-len(bits) // 8)
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")
