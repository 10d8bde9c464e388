"""Open ground truth, whatever its format: an image's name gives its segments when asked.

Which pixels are void, of which the ground truth says nothing:

* coco-panoptic: id 0, and crowds where the JSON is there.
* coco-instances: crowds, where no single object lies on them. What is in no mask is background.
* voc: index 255.
* bsds: nothing.
* labels: 255 where there are 8 bits, what is negative elsewhere.
* boundaries: 127.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from trace_edges.formats.coco_truth import load_json
from trace_edges.formats.folders import annotation_files, list_files
from trace_edges.formats.foreign import instead_of_masks
from trace_edges.formats.labels import EDGE, IGNORED
from trace_edges.formats.listing import Entry
from trace_edges.formats.pixels import stored_pixels
from trace_edges.formats.registry import get_format, truth_kinds
from trace_edges.formats.truth import Reader, refusal, refused
from trace_edges.formats.voc import OBJECTS

KINDS = truth_kinds()
# Kinds that are one JSON, by what an annotation of theirs has and no other's.
JSON_KINDS = {"coco-panoptic": "segments_info", "coco-instances": "segmentation"}
_FILES = (*get_format("labels").suffixes, *get_format("bsds").suffixes)


@dataclass(frozen=True, eq=False)
class GroundTruthSet(Mapping[str, Reader]):
    """By image name, a picklable function that reads the annotators of that image.

    Attributes:
        readers: the functions.
        kind: one of `KINDS`.
    """

    readers: dict[str, Reader] = field(repr=False)
    kind: str

    @property
    def drawn(self) -> bool:
        """Whether boundaries were drawn as such, so that none need be made of labels."""
        return get_format(self.kind).holds == "edges"

    def __getitem__(self, name: str) -> Reader:
        return self.readers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)


@dataclass(frozen=True)
class Located:
    """Where ground truth is: a JSON with its content, or a folder of one file per image."""

    kind: str
    path: Path
    content: Entry | None = field(default=None, repr=False)


def open_ground_truth(source: Path, kind: str = "auto") -> GroundTruthSet:
    """Opens ground truth; its images are read when a function of the result is called.

    Args:
        source: a COCO JSON (that of panoptic PNGs beside their folder, which is called like the
            JSON or "panoptic"); a folder of panoptic PNGs, with or without its JSON beside it; the
            folder VOC2012 or its SegmentationObject; a folder of BSDS500 .mat files, of label maps
            (PNG, TIFF, .npy) or of drawn edge maps (PNG).
        kind: one of `KINDS`, or "auto" for what the files say themselves.

    Returns:
        A mapping by image name of functions without arguments that read one annotation.

    Raises:
        GroundTruthError: a `ValueError` of one line: the kind is not recognised, a file is missing
            or damaged, two images have one name, or there is no image.
        ImportError: as soon as masks are read, if pycocotools is not installed.
    """
    found = locate(source, kind)
    form = get_format(found.kind)
    if found.content is None:
        files, read = annotation_files(found.path, form.suffixes), form.function("truth")
        return GroundTruthSet({name: partial(read, files[name]) for name in files}, found.kind)
    open_json = form.function("truth_json")
    readers: dict[str, Reader] = {}
    for name, reader in open_json(found.path, found.content):
        if name in readers:
            raise refusal(found.path, f"two images are called {name}", "rename one of them")
        readers[name] = reader
    if not readers:
        raise refusal(found.path, "lists no image", "give the JSON of the ground truth")
    return GroundTruthSet(readers, found.kind)


def locate(source: Path, kind: str = "auto") -> Located:
    """Finds out the kind of a source, and where its annotations are.

    Raises:
        GroundTruthError: as in `open_ground_truth`.
    """
    source = Path(source)
    if kind not in ("auto", *KINDS):
        raise ValueError(f"unknown kind {kind!r}: choose from auto, {', '.join(KINDS)}")
    if not source.exists():
        raise refusal(source, "there is no such file or folder", "check the path")
    if not source.is_dir():
        return _locate_json(source, kind)
    if kind in ("auto", "voc") and (source / OBJECTS).is_dir():
        return Located("voc", source / OBJECTS)
    jsons = list_files(source, (".json",))
    if kind in ("auto", *JSON_KINDS) and len(jsons) == 1 and not list_files(source, _FILES):
        return _locate_json(jsons[0], kind)
    if kind == "auto":
        kind = _kind_of_folder(source)
    if kind == "coco-instances":
        raise refusal(source, "is a folder", "give the JSON with the instances")
    if kind == "coco-panoptic":
        beside = source.parent / f"{source.name}.json"
        for path in (beside, *jsons):
            if path.is_file():
                return _locate_json(path, kind)
    return Located(kind, source)


def _locate_json(path: Path, kind: str) -> Located:
    if path.suffix.lower() != ".json" or kind not in ("auto", *JSON_KINDS):
        raise refusal(path, "is a file", _choices("give a folder, or a COCO JSON"))
    content = load_json(path)
    given = content.get("annotations")
    annotations = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    own = [known for known, key in JSON_KINDS.items() if any(key in a for a in annotations)]
    if kind == "auto" and not own:
        held = instead_of_masks(annotations)
        problem = "has neither segments_info nor segmentation" + (f", but {held}" if held else "")
        raise refusal(path, problem, _choices("say the kind"))
    if own and kind not in ("auto", own[0]):
        raise refusal(path, f"holds {own[0]} annotations, not {kind}", "leave the kind to auto")
    return Located(own[0] if kind == "auto" else kind, path, content)


def _kind_of_folder(folder: Path) -> str:
    """The kind that the first file gives away."""
    files = list_files(folder, _FILES, recursive=True)
    if not files:
        mend = _choices("give a folder with the files themselves, or one COCO JSON")
        raise refusal(folder, "holds no ground truth of a kind that is known", mend)
    match files[0].suffix.lower():
        case ".mat":
            return "bsds"
        case ".npy":
            return "labels"
    if folder.name == OBJECTS:
        return "voc"
    with refused(files[0]):
        pixels, mode, _ = stored_pixels(files[0])
    values = set(np.unique(pixels).tolist())
    if mode == "RGB":
        return "coco-panoptic"
    if mode == "1" or (mode == "L" and EDGE in values and values <= {0, IGNORED, EDGE}):
        problem = f"{files[0].name} may be a drawn edge map or a label map"
        raise refusal(folder, problem, "say which: the kind is boundaries or labels")
    return "labels"


def _choices(mend: str) -> str:
    return f"{mend}; the kinds are {', '.join(KINDS)}"
