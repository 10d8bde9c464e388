"""The formats that are read and written here, a row each: lists of choices are taken from it.

Nothing but names is imported with this module: what reads and writes a format is found when it is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Literal, get_args

Content = Literal["edges", "instances", "panoptic", "semantic"]
Role = Literal["read", "write", "truth", "truth_json", "opens", "exports"]
# What some formats cannot hold of masks; holes and parts all of them hold.
Keeps = Literal["overlaps", "crowds", "scores", "names", "image ids", "mask ids", "category ids"]
_ALL: frozenset[Keeps] = frozenset(get_args(Keeps))


@dataclass(frozen=True)
class Format:
    """One format; a function is named as "module:function" of this package, or is None.

    Attributes:
        name: as command lines and messages have it.
        holds: what is in a file.
        suffixes: of a file that holds one image; of the whole file where there is but one.
        read: reads a path for use as it is: edges, masks by image name, classes.
        write: writes edges of one image, or masks or maps by image name.
        truth: reads the file of one image as ground truth, the segments of every annotator.
        truth_json: reads the content of a JSON as ground truth: by image, what reads its segments.
        opens, exports: read and write a set of masks with all that the format holds (`labelled`);
            between those that have `exports`, `trace-edges export` converts.
        exchange: what the format is called there, if not `name`.
        keeps: what it holds of masks.
        per_image: there is a file for each image, called by its name without a suffix.
    """

    name: str
    holds: Content
    suffixes: tuple[str, ...]
    read: str | None = None
    write: str | None = None
    truth: str | None = None
    truth_json: str | None = None
    opens: str | None = None
    exports: str | None = None
    exchange: str = ""
    keeps: frozenset[Keeps] = _ALL
    per_image: bool = False

    def function(self, role: Role) -> Callable[..., Any]:
        """The function of that role.

        Raises:
            ValueError: the format has none.
        """
        named = getattr(self, role)
        if named is None:
            raise ValueError(f"format {self.name} has no function to {role}")
        return resolve_name(f"trace_edges.formats.{named}")


FORMATS = (
    Format(
        "coco-panoptic", "panoptic", (".png",), write="panoptic:export_panoptic",
        truth="coco_truth:read_panoptic_segments", truth_json="coco_truth:open_panoptic",
        opens="panoptic:read_panoptic_set", exports="panoptic:write_panoptic",
        keeps=_ALL - {"overlaps"}, per_image=True,
    ),
    Format(
        "coco-instances", "instances", (".json",), read="coco:read_coco_masks",
        write="coco:export_coco", truth_json="coco_truth:open_instances",
        opens="coco_set:read_coco", exports="coco_set:write_coco", exchange="coco",
    ),
    Format(
        "coco-results", "instances", (".json",), read="coco:read_coco_masks",
        write="coco:export_coco_results",
    ),
    Format("voc", "instances", (".png",), truth="voc:read_voc"),
    Format("bsds", "edges", (".mat",), truth="bsds:read_bsds"),
    Format(
        "labels", "instances", (".png", ".tif", ".tiff", ".npy"), read="labels:read_masks",
        write="labels:export_labels", truth="labels:read_labels",
        opens="labels:read_label_maps", exports="labels:write_label_maps", exchange="png",
        keeps=frozenset(), per_image=True,
    ),
    Format("boundaries", "edges", (".png",), write="labels:write_drawn", truth="labels:read_drawn"),
    Format(
        "yolo", "instances", (".txt",), write="yolo:export_yolo",
        opens="yolo:read_yolo", exports="yolo:write_yolo",
        keeps=frozenset({"overlaps", "names"}), per_image=True,
    ),
    Format(
        "label-studio", "instances", (".json",), write="label_studio:export_label_studio",
        opens="label_studio:read_label_studio",
        exports="label_studio:write_label_studio",
        keeps=frozenset({"overlaps", "scores", "names", "image ids"}),
    ),
    Format(
        "cvat", "instances", (".xml",), opens="cvat:read_cvat", exports="cvat:write_cvat",
        keeps=_ALL - {"mask ids", "category ids"},
    ),
    Format(
        "labelme", "instances", (".json",), opens="labelme:read_labelme",
        exports="labelme:write_labelme", keeps=_ALL - {"category ids"}, per_image=True,
    ),
    Format("fiftyone", "instances", (".json",), opens="coco_set:read_coco",
           exports="coco_set:write_fiftyone"),
    Format("annotate", "instances", (".tar", ".parquet", ".json"),
           opens="annotated:read_annotated"),
    Format(
        "semantic", "semantic", (".png", ".tif", ".tiff", ".npy"), read="semantic:read_semantic",
    ),
    Format("png", "edges", (".png",), read="edge_maps:read_edge_map",
           write="edge_maps:write_edge_map"),
    Format("png16", "edges", (".png",), read="edge_maps:read_edge_map",
           write="edge_maps:write_edge_map"),
    Format("npy", "edges", (".npy",), read="edge_maps:read_edge_map",
           write="edge_maps:write_edge_map"),
)  # fmt: skip


def names(*, reads: Content | None = None, writes: Content | None = None) -> tuple[str, ...]:
    """Names of the formats, in their order.

    Args:
        reads: only those that are read and hold this.
        writes: only those that are written and hold this.

    Raises:
        ValueError: there is no such content.
    """
    for content in (reads, writes):
        if content not in (None, *get_args(Content)):
            known = ", ".join(get_args(Content))
            raise ValueError(f"unknown content {content!r}: choose from {known}")
    return tuple(
        one.name
        for one in FORMATS
        if (reads is None or (one.holds == reads and one.read))
        and (writes is None or (one.holds == writes and one.write))
    )


def get_format(name: str) -> Format:
    """The format of that name.

    Raises:
        ValueError: there is none.
    """
    for one in FORMATS:
        if one.name == name:
            return one
    raise ValueError(f"unknown format {name!r}: choose from {', '.join(names())}")


def exchanged() -> tuple[str, ...]:
    """Names of the formats between which sets of masks are converted."""
    return tuple(one.exchange or one.name for one in FORMATS if one.exports)


def get_exchange(name: str) -> Format:
    """The format that is called so where masks are converted, or whose results are read there.

    Raises:
        ValueError: there is none.
    """
    for one in FORMATS:
        if one.opens and name in (one.exchange or one.name, one.name):
            return one
    raise ValueError(f"unknown format {name!r}: choose from {', '.join(exchanged())}")


def truth_kinds(holds: Content | None = None) -> tuple[str, ...]:
    """The kinds of ground truth: names of the formats that can be read as it."""
    return tuple(
        one.name for one in FORMATS if (one.truth or one.truth_json) and holds in (None, one.holds)
    )
