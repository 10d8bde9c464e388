"""Problems on the way to a backbone, each in one line that gives the mend, and nothing else."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError

from trace_edges.backbones.checkpoints import CHECKPOINTS, EMBEDDED, PIXELS
from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.extras import MissingExtraError


class BackboneError(ValueError):
    """A backbone that cannot be found, is not supported, or lacks a part: which, in one line."""


def check_backbone_name(name: str) -> None:
    """Refuse a name that can be nobody's, without looking for the model: PyTorch is not needed yet.

    Raises:
        BackboneError: it is no name of a table, no path of anything, and no hub id.
    """
    names = (EMBEDDED, *CHECKPOINTS, *ENCODERS)
    if name not in names and not _may_be_somewhere(name):
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


def _may_be_somewhere(name: str) -> bool:
    return bool(name) and (Path(name).exists() or name.count("/") == 1)


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


# The hub did not answer; also errors of httpx, whose own name changes with the hub's version.
UNREACHED: tuple[type[Exception], ...] = (
    OfflineModeIsEnabled,
    *(kind for kind in HfHubHTTPError.__mro__ if issubclass(kind, OSError)),
    *(kind for kind in HfHubHTTPError.__bases__ if issubclass(kind, Exception)),
)

_EXPLAINED: tuple[type[Exception], ...] = (
    *UNREACHED,
    OSError,
    ImportError,
    EntryNotFoundError,
    SafetensorError,
)

# The first class that an error, or one behind it, is of; subclasses before their bases.
_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (GatedRepoError, "it is gated: accept its licence on its page on the hub, then log in with "
                     "`hf auth login` or set HF_TOKEN"),
    (RepositoryNotFoundError, "the hub knows no such repository: check the spelling, or log in "
                              "with `hf auth login` if it is private"),
    (RevisionNotFoundError, "it has no such revision: give a branch, tag or commit of it"),
    (OfflineModeIsEnabled, "it is not in the local cache and HF_HUB_OFFLINE keeps the hub away: "
                           "unset it, or fetch it elsewhere with `hf download` and give the "
                           "folder"),
    (LocalEntryNotFoundError, "it is not in the local cache and the hub was not reached: connect, "
                              "or fetch it elsewhere with `hf download` and give the folder"),
    (ConnectionError, "the hub was not reached: connect, or fetch it elsewhere with `hf download` "
                      "and give the folder"),
)  # fmt: skip


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Keep diffusers and transformers quiet, and turn their errors into a BackboneError about
    `what`, of one line.

    Raises:
        BackboneError: whatever was missing, gated, out of reach or broken.
        MissingExtraError: an optional library is not installed.
    """
    try:
        with _quiet_libraries():
            yield
    except MissingExtraError:
        raise  # its message has already what to install
    # ImportError: a text encoder or tokenizer wants a library that is not installed.
    except _EXPLAINED as error:
        raise BackboneError(f"{what} could not be loaded: {_meaning(error)}") from error


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


def _meaning(error: BaseException) -> str:
    behind = list(_chain(error))
    for kind, meaning in _MEANINGS:
        if any(isinstance(one, kind) for one in behind):
            return meaning
    return " ".join(str(error).split())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it was raised from or in the handling of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Within, diffusers and transformers report nothing but errors.

    diffusers notes config keys that it does not know (latents_mean), transformers weights that
    nobody misses (the pooler of DINO); both show a bar of their own, and diffusers warns of what
    it will remove from itself one day.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    before = [
        (library, library.get_verbosity(), library.is_progress_bar_enabled())
        for library in (diffusers_logging, transformers_logging)
    ]
    for library, _, _ in before:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for library, verbosity, bar in before:
            library.set_verbosity(verbosity)
            if bar:
                library.enable_progress_bar()
