"""Names that can be nobody's, and too little memory, each in one line that gives the mend: what is
asked before anything is fetched or loaded, so that no library of models is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from trace_edges.backbones.checkpoints import CHECKPOINTS, EMBEDDED, PIXELS
from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.checks import printable


class BackboneError(ValueError):
    """A backbone that cannot be found, is not supported, or lacks a part: which, in one line, in
    which names and values of its configs are printable, whatever they hold.
    """

    def __init__(self, line: str) -> None:
        super().__init__(printable(line))


def check_backbone_name(name: str) -> None:
    """Refuse a name that can be nobody's, without looking for the model: PyTorch is not needed yet.

    Raises:
        BackboneError: it is no name of a table, no path of anything, and no hub id.
    """
    names = (EMBEDDED, *CHECKPOINTS, *ENCODERS)
    somewhere = name and (Path(name).exists() or name.count("/") == 1)
    if name not in names and not somewhere:
        raise BackboneError(
            f"backbone {name!r} is neither one of the names that `trace-edges backbones` prints, "
            f"nor a folder, nor a file, nor a hub id (owner/name){did_you_mean(name, names)}"
        )


def check_detector_name(name: str) -> None:
    """`check_backbone_name` of a detector.

    Raises:
        BackboneError: it is none of the embedded ones, no folder, and no hub id.
    """
    embedded = name in (PIXELS, EMBEDDED)
    if not embedded and not (name and Path(name).is_dir()) and name.count("/") != 1:
        raise BackboneError(
            f"detector {name!r} is neither {PIXELS!r} nor {EMBEDDED!r}, nor a folder, nor a hub id "
            "(owner/name)"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is none: up to three that are like it, if any are.

    Dots, dashes and the like make no difference, and a version counts more than the spelling:
    "sd35" is like sd3.5-large, and not like sd15.
    """
    written, names = _bare(name), {_bare(one): one for one in known}
    version = re.match(r"[a-z]+\d", written)
    of_version = [bare for bare in names if version and bare.startswith(version[0])]
    pool = of_version or list(names)
    ways = (
        [bare for bare in pool if written and bare.startswith(written)],
        get_close_matches(written, pool, cutoff=0.85),
        [bare for bare in pool if len(bare) > 2 and written.startswith(bare)],
        get_close_matches(written, pool),
        of_version,
    )
    meant = [names[bare] for bare in next(filter(None, ways), [])[:3]]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def _bare(name: str) -> str:
    """A name without what people write in different ways."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower().replace("stable-diffusion", "sd"))
    return re.sub(r"^sdv(?=\d)", "sd", letters).replace("flux1", "flux")


@contextmanager
def out_of_memory(advice: Callable[[], str]) -> Iterator[None]:
    """Turn running out of memory into a BackboneError with this advice.

    Raises:
        BackboneError: the device's memory was not enough.
    """
    try:
        yield
    except RuntimeError as error:
        from accelerate.utils.memory import should_reduce_batch_size

        if not should_reduce_batch_size(error):
            raise
        raise BackboneError(advice()) from error
