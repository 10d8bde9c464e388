"""Maps of labels, classes, edges and segments, .mat files and saved results, with bytes changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trace_edges import EdgeMap, InstanceMasks, PanopticMap
from trace_edges.formats.bsds import read_bsds
from trace_edges.formats.coco_truth import read_panoptic
from trace_edges.formats.edge_maps import read_edge_map
from trace_edges.formats.labels import read_drawn, read_labels, read_masks
from trace_edges.formats.pixels import upright_size
from trace_edges.formats.semantic import read_semantic
from trace_edges.formats.voc import read_indices
from trace_edges.results import Segment

from .fuzzing import changed, fuzz, fuzzed, refusal, with_right_checksums
from .pictures import colours, encoded
from .test_fuzz_images import deep_png, pngs, tiffs
from .test_maps import MAT, OBJECTS, PACKED, npy

RGB = colours(17, 19)
LABELS = RGB[..., 0] % 5
GREY = Image.fromarray(LABELS)
ARRAYS: tuple[Callable[[Path], object], ...] = (
    read_labels,
    read_masks,
    read_semantic,
    read_edge_map,
)
IMAGES: tuple[Callable[[Path], object], ...] = (
    *ARRAYS, read_drawn, read_panoptic, read_indices, upright_size,
)  # fmt: skip
RESULTS: tuple[Callable[[Path], object], ...] = (EdgeMap.load, InstanceMasks.load, PanopticMap.load)


def zipped(folder: Path, save: Callable[[Path], object]) -> bytes:
    """A saved result without compression, so that bytes of its arrays can be changed."""
    path = folder / "result.npz"
    save(path)
    content = io.BytesIO()
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(content, "w") as plain:
        for name in packed.namelist():
            plain.writestr(name, packed.read(name))
    return content.getvalue()


def maps(folder: Path, suffix: str, inputs: list[bytes]) -> None:
    path = folder / f"it{suffix}"
    readers = {".npy": ARRAYS, ".mat": (read_bsds,), ".npz": RESULTS}.get(suffix, IMAGES)

    def check(content: bytes) -> None:
        path.write_bytes(with_right_checksums(content))
        for read in readers:
            line = refusal(partial(read, path), (ValueError,))
            assert line is None or str(path) in line, line

    fuzz(changed(inputs), check, 250)


def seeds(suffix: str, folder: Path) -> list[bytes]:
    """Small files of a kind, in as many ways as they are met."""
    match suffix:
        case ".png":
            modes = [encoded(GREY.convert(mode), "PNG") for mode in ("L", "P", "1", "RGB")]
            return [*modes, encoded(GREY, "PNG", bits=4), *pngs(), deep_png(RGB.astype("u2"))]
        case ".tif":
            return tiffs()
        case ".npy":
            kinds = ("u1", ">i4", "f4", "?", "f2", "<u8")
            return [OBJECTS, npy(np.asfortranarray(LABELS)), npy(LABELS[None] > 2),
                    *(npy(LABELS.astype(kind)) for kind in kinds)]  # fmt: skip
        case ".mat":
            return [MAT, PACKED]
    masks = InstanceMasks.from_labels(LABELS.astype("i4"))
    panoptic = PanopticMap((LABELS > 2).astype("i4"), (Segment(1, 1, True, 0.5),))
    edges = EdgeMap((LABELS == 0)[None].astype("f4"), (LABELS == 0)[None])
    return [zipped(folder, one.save) for one in (masks, edges, panoptic)]


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".mat", ".npz"])
def test_changed_bytes_give_a_map_or_one_line(suffix, tmp_path):
    fuzzed(maps, tmp_path, suffix, seeds(suffix, tmp_path))
