"""Sound masks in every form that `export` reads, and what writes them into a folder."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 24
SQUARE = [4, 4, 20, 4, 20, 20, 4, 20]
RLE = {"size": [SIDE, SIDE], "counts": [100, 16, 8, 16, 8, 16, 8, 16, 388]}
EXPORT = ("export", "it", "--out", "out", "--json", "--images", "photos", "--to")
DONE = ("out/b.png",)
Made = Callable[[Path], None]


def pixels(kind: str) -> Image.Image:
    values = np.zeros((SIDE, SIDE), dtype=np.uint8)
    values[4:20, 4:20] = 1
    if kind == "photograph":
        return Image.fromarray(np.stack([values * 90, values * 200, 255 - values], axis=2))
    if kind == "panoptic":
        return Image.fromarray(np.stack([values * 7, values * 0, values * 0], axis=2))
    return Image.fromarray(values)


def png(kind: str) -> bytes:
    file = io.BytesIO()
    pixels(kind).save(file, "PNG")
    return file.getvalue()


def photographs(folder: Path) -> None:
    (folder / "photos").mkdir()
    for name in "ab":
        pixels("photograph").save(folder / "photos" / f"{name}.png")


def labelme(name: str) -> dict[str, Any]:
    mask = base64.b64encode(png("labels")).decode()
    ends = [[0, 0], [SIDE - 1, SIDE - 1]]
    points = [SQUARE[place : place + 2] for place in range(0, 8, 2)]
    return {
        "version": "5.3.0", "flags": {}, "imagePath": f"{name}.png", "imageData": None,
        "imageHeight": SIDE, "imageWidth": SIDE,
        "shapes": [
            {"label": "one", "points": points, "group_id": None, "shape_type": "polygon",
             "flags": {}, "score": 0.5, "id": 3},
            {"label": "two", "points": ends, "group_id": 1, "shape_type": "mask", "mask": mask,
             "flags": {}},
        ],
    }  # fmt: skip


def task(name: str) -> dict[str, Any]:
    points = [[10.0, 10.0], [90.0, 10.0], [90.0, 90.0]]
    region = {
        "type": "polygonlabels", "id": "x", "original_height": SIDE, "original_width": SIDE,
        "value": {"points": points, "polygonlabels": ["one"]}, "score": 0.5,
    }  # fmt: skip
    brush = region | {"type": "brushlabels", "value": {"rle": [0, 0], "brushlabels": ["one"]}}
    return {
        "data": {"image": f"/data/local-files/?d={name}.png", "file_name": f"{name}.png"},
        "annotations": [{"result": [region, brush][: 1 + (name == "none")]}],
    }


def record(name: str) -> dict[str, Any]:
    return {
        "image": f"{name}.png", "height": SIDE, "width": SIDE, "seconds": 0.5,
        "annotations": [{"id": 1, "category_id": 1, "iscrowd": 0, "segmentation": RLE,
                         "score": 0.5, "area": 64, "bbox": [4, 4, 16, 4]}],
        "categories": [{"id": 1, "name": "one"}],
    }  # fmt: skip


def segments(name: str) -> dict[str, Any]:
    return {
        "image": f"{name}.png", "height": SIDE, "width": SIDE,
        "segments_info": [{"id": 7, "category_id": 1, "iscrowd": 0, "area": 256, "score": 0.5,
                           "bbox": [4, 4, 16, 16]}],
    }  # fmt: skip


def coco(changed_first: Any = None) -> dict[str, Any]:
    return {
        "images": [{"id": number, "file_name": f"{name}.png", "height": SIDE, "width": SIDE}
                   for number, name in enumerate("ab", 1)],
        "annotations": [{"id": number, "image_id": number, "category_id": 1, "iscrowd": 0,
                         "segmentation": RLE, "score": 0.5, "area": 64, "bbox": [4, 4, 16, 4]}
                        for number in (1, 2)],
        "categories": [{"id": 1, "name": "one"}],
    }  # fmt: skip


def panoptic() -> dict[str, Any]:
    return {
        "images": coco()["images"],
        "annotations": [{"image_id": number, "file_name": f"{name}.png",
                         "segments_info": segments(name)["segments_info"]}
                        for number, name in enumerate("ab", 1)],
        "categories": [{"id": 1, "name": "one", "isthing": 1}],
    }  # fmt: skip


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>one</name></label></labels></task></meta>
<image id="0" name="a.png" width="24" height="24">
<mask label="one" source="auto" occluded="0" z_order="0" rle="1, 14, 1" left="4" top="4" \
width="4" height="4"><attribute name="score">0.5</attribute></mask>
<polygon label="one" points="4.0,4.0;20.0,4.0;20.0,20.0" z_order="1"></polygon></image>
<image id="1" name="b.png" width="24" height="24">
<polygon label="one" points="4,4;20,4;20,20"></polygon></image>
</annotations>
"""


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")


def in_folder(sound: Callable[[str], Any], more: bytes = b"") -> Callable[[Path, Any], None]:
    def put(folder: Path, first: Any) -> None:
        for name, content in (("a", first), ("b", sound("b"))):
            write(folder / "it" / f"{name}.json", content)
            if more:
                (folder / "it" / f"{name}.panoptic.png").write_bytes(more)

    return put


def in_tar(folder: Path, first: Any, names: str = "ab") -> None:
    (folder / "it").mkdir()
    with tarfile.open(folder / "it/part-000000.tar", "w") as tar:
        for name, content in zip(names, (first, segments("b")), strict=True):
            data = json.dumps(content).encode()
            for suffix, held in (("json", data), ("panoptic.png", png("panoptic"))):
                info = tarfile.TarInfo(f"{name}.{suffix}")
                info.size = len(held)
                tar.addfile(info, io.BytesIO(held))


def in_parquet(folder: Path, first: Any, names: str = "ab") -> None:
    (folder / "it").mkdir()
    texts = [json.dumps(one) for one in (first, record("b"))]
    pq.write_table(
        pa.table({"key": list(names), "record": texts}), folder / "it/part-000000.parquet"
    )


def as_tasks(folder: Path, first: Any) -> None:
    write(folder / "it/tasks.json", [first, task("b")])


def as_coco(folder: Path, content: Any) -> None:
    write(folder / "it/instances.json", content)


def as_panoptic(folder: Path, content: Any) -> None:
    write(folder / "it/panoptic.json", content)
    for name in "ab":
        (folder / "it/panoptic").mkdir(exist_ok=True)
        (folder / "it/panoptic" / f"{name}.png").write_bytes(png("panoptic"))


# What of the content is the first image's, and so concerns no other.
FORMS: dict[str, tuple[Any, Callable[[Path, Any], None], Callable[[tuple[Any, ...]], bool]]] = {
    "labelme": (labelme("a"), in_folder(labelme), lambda place: True),
    "label-studio": (task("a"), as_tasks, lambda place: True),
    "records": (record("a"), in_folder(record), lambda place: True),
    "panoptic records": (segments("a"), in_folder(segments, png("panoptic")), lambda place: True),
    "tar": (segments("a"), in_tar, lambda place: True),
    "parquet": (record("a"), in_parquet, lambda place: True),
    "coco": (coco(), as_coco, lambda place: place[1:2] == (0,)),
    "panoptic": (panoptic(), as_panoptic, lambda place: place[1:2] == (0,)),
}


def places(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and entry of a JSON, but of lists only the first of equal kind."""
    if way:
        yield way
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*way, key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            if number == 0 or (isinstance(value, dict) and "shape_type" in value):
                yield from places(value, (*way, number))


def made(put: Callable[[Path, Any], None], content: Any) -> Made:
    def make(folder: Path) -> None:
        photographs(folder)
        put(folder, content)

    return make
