"""Panoptic maps from semantic maps: the edges tell the instances of a class apart."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace

import numpy as np
from jaxtyping import Integer

from trace_edges.instances.bgp import PROPAGATION, Propagation, enlargement
from trace_edges.instances.components import (
    Edges,
    by_falling_size,
    check_edges,
    edge_array,
    origin_of,
)
from trace_edges.instances.dividing import divide
from trace_edges.instances.fragments import ATTACHMENT, Attachment, attach_fragments
from trace_edges.results import EdgeMap, PanopticMap, Segment
from trace_edges.results.labels import label_windows, plain_array


def panoptic_from_semantic(
    semantic: Integer[np.ndarray, "h w"],
    edges: Edges | EdgeMap,
    things: Collection[int],
    stuff: Collection[int] | None = None,
    *,
    void: int | None = 255,
    propagation: Propagation = PROPAGATION,
    attachment: Attachment = ATTACHMENT,
) -> PanopticMap:
    """Split the thing classes of a semantic map into instances (sections 3.5 and 4).

    Every thing class is cut and filled by BGP; then a fragment is attached to a larger one that it
    seems to be a hidden part of. Every pixel of a listed class gets a segment.

    Args:
        semantic: (h, w) the class of each pixel.
        edges: (h, w) in [0, 1], 1 on an edge; smooth, thin, or a drawn boundary. Of an `EdgeMap` of
            one image, its `thin`.
        things: numbers of the classes with instances, in a set for instance.
        stuff: classes that are one segment each; by default every other one but `void`. With a
            list, the pixels of classes in neither list belong to no segment.
        void: the number of pixels without a class, or None.
        propagation: settings of BGP: which edges cut, and what becomes of the fragments.
        attachment: settings of the rule by which a fragment is a hidden part of a larger one.

    Returns:
        Segments in the order of their class; instances of one class by falling size.

    Raises:
        ValueError: the sizes differ, the edges are not in [0, 1] or of several images, or a class
            is on two lists.
    """
    semantic = plain_array(semantic)
    if semantic.ndim != 2 or not np.issubdtype(semantic.dtype, np.integer):
        raise ValueError(
            f"a semantic map is (h, w) integers, not {semantic.dtype} {semantic.shape}: "
            "one number per class"
        )
    if isinstance(things, int | np.integer):
        raise ValueError(f"things is a collection of classes: give {{{things}}}")
    if odd := [k for k in (*things, *(stuff or ())) if not isinstance(k, int | np.integer)]:
        raise ValueError(f"{odd[0]!r} is not the number of a class: give numbers, not names")
    propagation = propagation.usual_for(origin_of(edges))
    edges = edge_array(edges, thin=True)
    check_edges(edges, semantic.shape)
    if both := set(things) & (set(stuff or ()) | ({void} - {None})):
        raise ValueError(f"class {min(both)} is a thing and also stuff or void: list it once")
    windows = {
        number: window
        for number, window in label_windows(semantic).items()
        if number != void and (stuff is None or number in stuff or number in things)
    }
    divided = [number for number in windows if number in things]
    fragments = divide([windows[number] for number in divided], edges, propagation)
    of_things = np.isin(semantic, list(things))
    scaled = replace(
        attachment, min_area=round(enlargement(edges.shape) ** 2 * attachment.min_area)
    )
    ids = np.zeros(semantic.shape, dtype=np.int32)
    segments: list[Segment] = []
    instances = dict(zip(divided, fragments, strict=True))
    for category, (box, mask) in windows.items():
        before, thing = len(segments), category in instances
        labels = mask.astype(np.int32)
        if thing:
            owner = attach_fragments(instances[category], of_things[box] & ~mask, scaled)
            labels = by_falling_size(owner[instances[category]])
        ids[box][mask] = labels[mask] + before
        segments += [Segment(before + k, category, thing) for k in range(1, labels.max() + 1)]
    settings = {"propagation": asdict(propagation), "attachment": asdict(attachment)}
    return PanopticMap(ids, tuple(segments), settings)
