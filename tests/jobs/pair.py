"""Two squares that touch, and the edge between them."""

import json

import numpy as np

SIZE = (20, 30)
PAIR = np.zeros(SIZE, dtype=bool)
PAIR[4:16, 3:27] = True  # 12 x 24: columns 3 ... 14 and 15 ... 26, the edge in 14


def number_of_masks(outcome):
    """How many masks an image had and has."""
    return outcome.record.get("before", 0), outcome.record.get("after", 0)


def encoded(mask):
    from pycocotools import mask as coder

    rle = coder.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def annotation(number, image, mask=PAIR, **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "segmentation": encoded(mask),
        **more,
    }


def image(number, name, swapped=False):
    height, width = SIZE[::-1] if swapped else SIZE
    return {"id": number, "file_name": f"{name}.jpg", "height": height, "width": width}


def written(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def is_split(masks):
    """The two squares, which fill the pair between them; who gets the edge is not said here."""
    off_edge = np.delete(np.stack(masks).astype(bool), 14, axis=2)
    squares = np.delete(PAIR, 14, axis=1)
    left, right = squares & (np.arange(29) < 14), squares & (np.arange(29) >= 14)
    found = {mask.tobytes() for mask in off_edge}
    return found == {left.tobytes(), right.tobytes()} and np.array_equal(
        np.sum(masks, axis=0), PAIR
    )
