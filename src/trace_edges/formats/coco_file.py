"""A JSON of COCO's instances as it comes in: annotations, a results list, or SAM's own JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from trace_edges.files import FileError, read_json
from trace_edges.formats.coco_models import CATEGORY, ListedImage, Mask
from trace_edges.formats.entries import listed, refuse_unsound, shown, sound_entries
from trace_edges.formats.foreign import instead_of_masks, kind_of_file, tool_of
from trace_edges.formats.listing import Entry
from trace_edges.formats.truth import Finding, refusal, refused
from trace_edges.formats.values import Key

Source = str | PathLike[str] | Mapping[str, Any] | Sequence[Mapping[str, Any]]
AnyImage = TypeVar("AnyImage", bound=ListedImage)
AnyMask = TypeVar("AnyMask", bound=Mask)


@dataclass(frozen=True)
class CocoFile(Generic[AnyImage, AnyMask]):
    """The sound entries of a JSON, and what is wrong with the others.

    Attributes:
        name: of the file, in messages.
        content: an annotations JSON, or a results list.
        images: by id; none where the file lists none.
        image_entries: by id, as they are written.
        masks: in the order of the file; of listed images only, where any are listed.
        findings: what is wrong.
    """

    name: str
    content: Any = field(repr=False)
    images: dict[Key, AnyImage]
    image_entries: dict[Key, Entry] = field(repr=False)
    masks: list[AnyMask] = field(repr=False)
    findings: list[Finding]


def source_name(source: Source, unnamed: str) -> str:
    """The name of a source in messages: its path where it has one."""
    return str(source) if isinstance(source, str | PathLike) else unnamed


def open_coco(
    source: Source,
    images: TypeAdapter[AnyImage],
    masks: TypeAdapter[AnyMask],
    *,
    unnamed: str = "the content",
    listing: Source | None = None,
) -> CocoFile[AnyImage, AnyMask]:
    """Read a JSON, and hold its entries against the models.

    Args:
        source: the file, or its content.
        images, masks: the models.
        unnamed: what messages call content without a file.
        listing: another JSON that lists the images.

    Raises:
        OSError: a file cannot be read.
        GroundTruthError: it is no JSON, holds no list of masks, or gives two images one id.
    """
    name = source_name(source, unnamed)
    content = read_content(source)
    if isinstance(content, Mapping):
        if "annotations" not in content:
            mend = "give a COCO results list or annotations JSON"
            raise refusal(name, "holds no masks: it has no list 'annotations'", mend)
        held = content
    elif isinstance(content, list):
        held = {"annotations": content}
    else:
        mend = "give a COCO results list or annotations JSON"
        raise refusal(name, f"is {shown(content)} and holds no masks", mend)
    found, findings = sound_entries(masks, held, "annotations", name)
    if not isinstance(held["annotations"], list):
        refuse_unsound(findings)
    if (parts := instead_of_masks(held["annotations"])) is not None:
        raise refusal(name, f"has {parts} and no masks", "give annotations with `segmentation`")
    lister, where = (held, name) if listing is None else (read_content(listing), str(listing))
    own, bad = listed_images(images, lister, where)
    findings = [*bad, *findings]
    if own or bad or "images" in held:
        strange = [mask for mask in found if mask.image_id not in own]
        findings += [unlisted(mask, name) for mask in strange]
        found = [mask for mask in found if mask.image_id in own]
    entries = {id: lister["images"][image.place] for id, image in own.items()}
    return CocoFile(name, content, own, entries, found, findings)


def read_content(source: Source) -> Any:
    """The content of a source, SAM's as COCO has it.

    Raises:
        GroundTruthError: it is no JSON.
        OSError: the file cannot be read.
    """
    if not isinstance(source, str | PathLike):
        return source
    path = Path(source)
    with refused(path):
        try:
            content = read_json(path)
        except FileError as error:
            if path.is_file() and (kind := kind_of_file(path)) is not None:
                other, _, mend = kind.partition(": ")
                raise FileError(path, f"is not JSON but {other}", mend) from error
            raise
    return as_coco(content, path)


def as_coco(content: Any, path: Path) -> Any:
    """The content of a JSON, SAM's as COCO has it, and LVIS's with the names of files.

    Raises:
        GroundTruthError: it is of another tool.
    """
    if (tool := tool_of(content)) is not None:
        raise refusal(path, f"is a JSON of {tool}", "export or convert it to COCO's")
    return _with_names(_from_sam(content, path))


def listed_images(
    model: TypeAdapter[AnyImage], content: Any, name: str
) -> tuple[dict[Key, AnyImage], list[Finding]]:
    """The sound entries of `images` by id, and what is wrong with the others.

    Raises:
        GroundTruthError: two images have one id.
    """
    if not isinstance(content, Mapping) or "images" not in content:
        return {}, []
    found, findings = sound_entries(model, content, "images", name)
    twice = [id for id, times in Counter(image.id for image in found).items() if times > 1]
    if twice:
        problem = f"gives one id to several images: {listed(twice)}"
        raise refusal(name, problem, "renumber them")
    return {image.id: image for image in found}, findings


def _with_names(content: Any) -> Any:
    """The content with the file names of its images, of which LVIS gives the addresses alone."""
    if not isinstance(content, Mapping) or not isinstance(content.get("images"), list):
        return content

    def named(image: Any) -> Any:
        address = image.get("coco_url") if isinstance(image, Mapping) else None
        if not isinstance(address, str) or "file_name" in image:
            return image
        return {**image, "file_name": "/".join(address.rsplit("/", 2)[-2:])}

    return {**content, "images": [named(image) for image in content["images"]]}


def image_names(files: Mapping[Key, str | None], name: str) -> dict[Key, str]:
    """The name of every image by id: the stem of its file, or its id where it has none.

    Files of one stem are called by their paths: day1/a and day2/a, or with the suffix where there
    are day1/a.jpg and day1/a.png.

    Args:
        files: of the images, by id.
        name: of the JSON, in messages.

    Raises:
        GroundTruthError: two have one name still.
    """
    called = {id: [str(id)] if path is None else _names(path) for id, path in files.items()}
    uses = Counter(name for names in called.values() for name in names)
    names: dict[Key, str] = {}
    taken: dict[str, Key] = {}
    for id, possible in called.items():
        names[id] = next((one for one in possible if uses[one] < 2), possible[-1])
        if taken.setdefault(names[id], id) != id:
            problem = f"images {taken[names[id]]} and {id} are both called {names[id]}"
            raise refusal(name, problem, "rename one")
    return names


def _names(path: str) -> list[str]:
    """What the image of a file may be called, from short to long: a, day1/a, day1/a.jpg."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    full = PurePosixPath(*parts)
    return list(dict.fromkeys([full.stem, str(full.with_suffix("")), str(full)]))


def unlisted(mask: Mask, name: str) -> Finding:
    """What is wrong with a mask whose image no sound entry lists."""
    problem = f"{mask.name} is of image {shown(mask.image_id)}, which is not listed"
    return Finding(name, problem, "list it in 'images', or remove the annotation")


def _from_sam(content: Any, path: Path) -> Any:
    """COCO's form of what SAM writes: a list of masks for an image, or SA-1B's file for one."""
    if isinstance(content, Mapping) and isinstance(content.get("image"), Mapping):
        image = {"id": content["image"].get("image_id"), **content["image"]}
        masks = content.get("annotations")
    elif isinstance(content, list) and content and all(map(_is_sams, content)):
        image, masks = {"id": path.stem, "file_name": path.stem}, content
        size = content[0]["segmentation"].get("size")
        if isinstance(size, list) and len(size) == 2:
            image |= {"height": size[0], "width": size[1]}
    else:
        return content
    if isinstance(masks, list):
        masks = [_from_sams(mask, image["id"]) for mask in masks]
    categories = [{"id": CATEGORY, "name": "object", "supercategory": "object"}]
    return {"images": [image], "annotations": masks, "categories": categories}


def _is_sams(entry: Any) -> bool:
    return (
        isinstance(entry, Mapping)
        and {"segmentation", "predicted_iou"} <= entry.keys()
        and isinstance(entry["segmentation"], Mapping)
        and "image_id" not in entry
    )


def _from_sams(mask: Any, image_id: Any) -> Any:
    if not isinstance(mask, Mapping):
        return mask
    entry: Entry = {"category_id": CATEGORY, **mask, "image_id": image_id}
    score = mask.get("predicted_iou")
    if isinstance(score, int | float):
        entry.setdefault("score", min(score, 1))  # an estimate, at times a little above 1
    return entry
