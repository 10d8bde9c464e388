"""Masks of COCO's annotations, checked against their images and decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trace_edges.formats.coco_models import CategoryMask, ListedImage, Mask
from trace_edges.formats.rle import Runs, Size, column_span, decode_crop, mask_runs
from trace_edges.formats.truth import Finding, GroundTruthError, refusal
from trace_edges.formats.values import Key
from trace_edges.memory import free
from trace_edges.results import OBJECT, InstanceMasks

_COPIES = 3  # of all masks of an image that are in memory at once while they are worked on


def mask_sizes(
    images: Mapping[Key, ListedImage], masks: Mapping[Key, Sequence[Mask]]
) -> dict[Key, Size]:
    """The size of every image that has one, by id: as it is listed, or else that of its RLE.

    Where an image is listed with width and height swapped, as in files of MaskCut, its RLE says so.
    Where that is so of every image of several, the others are turned as well.
    """
    sizes: dict[Key, Size] = {}
    turned, bare = {}, []
    for key in {**images, **masks}:
        size = images[key].size if key in images else (0, 0)
        encoded = [mask.encoded for mask in masks.get(key, ()) if mask.encoded]
        if 0 in size:
            if encoded:
                sizes[key] = encoded[0]
            continue
        if encoded:
            turned[key] = size not in encoded and size[::-1] in encoded
        else:
            bare.append(key)
        sizes[key] = size[::-1] if turned.get(key) else size
    telling = [turned[key] for key in turned if sizes[key][0] != sizes[key][1]]
    if len(telling) > 1 and all(telling):
        sizes |= {key: sizes[key][::-1] for key in bare}
    return sizes


def checked_runs(mask: Mask, size: Size, name: str) -> Runs:
    """The run lengths of a mask (`mask_runs`).

    Args:
        mask: polygons or RLE.
        size: (height, width) of its image.
        name: of the file, in messages.

    Raises:
        GroundTruthError: it is of another size, or its runs are damaged or do not fill the image.
        ImportError: it is polygons and pycocotools is not installed.
    """
    if (own := mask.encoded) and own != size:
        mend = "give masks of the size of the images"
        if own == size[::-1]:
            mend = "height and width look swapped: both are [height, width]"
        problem = f"{mask.name}: its RLE is {list(own)} and its image {list(size)} (height, width)"
        raise refusal(name, problem, mend)
    try:
        return mask_runs(mask.segmentation, size)
    except ValueError as error:
        mend = "encode the mask again, column by column"
        raise refusal(name, f"{mask.name}: {error}", mend) from error


def stacked(
    masks: Sequence[CategoryMask], size: Size, name: str, names: Mapping[Key, str]
) -> tuple[InstanceMasks, list[Finding]]:
    """The masks of one image that can be decoded and have a pixel, in their order, and what is
    wrong with the others. The score is 1 where there is none.

    Args:
        names: of categories by id; masks of others are of the class "object".

    Raises:
        GroundTruthError: they need more memory than there is.
        ImportError: as in `checked_runs`.
    """
    runs, scores, classes, findings = [], [], [], []
    for mask in masks:
        try:
            own = checked_runs(mask, size, name)
        except GroundTruthError as error:
            findings.append(error.finding)
            continue
        if own[1::2].any():
            runs.append(own)
            scores.append(1.0 if mask.score is None else mask.score)
            classes.append(names.get(mask.category_id, OBJECT))
    height, width = size
    spans = [column_span(own, size) for own in runs]
    needed = height * sum(last - first + 1 for first, last in spans)
    if _COPIES * needed > free():
        problem = f"{len(runs)} masks of {width} x {height} px need {needed / 1e9:.0f} GB and more"
        raise refusal(name, problem, "give smaller images, or fewer masks for each")
    found = [decode_crop(own, size) for own in runs]
    windows, crops = [one for one, _ in found], [one for _, one in found]
    found_masks = InstanceMasks.cropped(windows, crops, size, np.array(scores))
    return found_masks.named(classes), findings
