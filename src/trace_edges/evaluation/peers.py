"""Peers become folders of edge maps, like the maps of any other method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from trace_edges.files import write_atomically
from trace_edges.metrics.peers import PEERS
from trace_edges.parallel import spread

Task = tuple[str, Path, Path]  # peer, image, edge map to write


def draw_peer(
    peer: str,
    images: Mapping[str, Path],
    folder: Path,
    workers: int = 1,
    progress: Callable[[], object] | None = None,
) -> dict[str, str]:
    """Write the edge maps of a classical detector as 8-bit PNGs NAME.png into `folder`.

    Maps that are newer than their image are kept.

    Returns:
        The images that cannot be read, by name, with what is wrong with them.

    Raises:
        ValueError: there is no such peer.
    """
    if peer not in PEERS:
        raise ValueError(f"there is no peer {peer!r}: choose from {', '.join(PEERS)}")
    problems = {}
    tasks = [(peer, image, folder / f"{name}.png") for name, image in images.items()]
    for name, problem in zip(images, spread(_draw, tasks, workers), strict=True):
        if problem:
            problems[name] = problem
        if progress is not None:
            progress()
    return problems


def _draw(task: Task) -> str:
    from trace_edges.images import ImageError, load_image  # brings torch, which takes seconds

    peer, image, target = task
    if target.exists() and target.stat().st_mtime > image.stat().st_mtime:
        return ""
    try:
        picture = load_image(image)
    except ImageError as error:
        return str(error)
    edges = np.rint(PEERS[peer](picture) * 255).astype(np.uint8)
    with write_atomically(target) as temporary:
        Image.fromarray(edges).save(temporary)
    return ""
