"""Ground truth of photographs that have none: where they are bright."""

import numpy as np
from PIL import Image


def bright_parts(photographs, folder):
    """Write a label map of each photograph, of its bright and its dark pixels; gives the folder."""
    folder.mkdir()
    for path in photographs:
        labels = (np.asarray(Image.open(path)).mean(-1) > 120).astype(np.uint8)
        Image.fromarray(labels).save(folder / path.name)
    return folder
