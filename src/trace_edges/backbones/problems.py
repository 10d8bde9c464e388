"""Problems on the way to a backbone, each in one line that gives the mend, and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from accelerate.utils.memory import should_reduce_batch_size
from diffusers.utils import logging as diffusers_logging
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
from transformers.utils import logging as transformers_logging

from trace_edges.extras import MissingExtraError


class BackboneError(ValueError):
    """A backbone that cannot be found, is not supported, or lacks a part: which, in one line."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is none: up to three that are like it, if any are."""
    written, names = name.lower(), list(known)
    longer = [one for one in names if written and one.startswith(written)]
    meant = (longer or get_close_matches(written, names))[:3]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


# The first class that an error, or one behind it, is of; subclasses before their bases.
_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (GatedRepoError, "it is gated: accept its licence on its page on the hub, then log in with "
                     "`hf auth login` or set HF_TOKEN"),
    (RepositoryNotFoundError, "the hub knows no such repository: check the spelling, or log in "
                              "with `hf auth login` if it is private"),
    (RevisionNotFoundError, "it has no such revision: give a branch, tag or commit of it"),
    (LocalEntryNotFoundError, "it is not in the local cache and the hub was not reached: connect, "
                              "or fetch it elsewhere with `hf download` and give the folder"),
    (OfflineModeIsEnabled, "it is not in the local cache and HF_HUB_OFFLINE keeps the hub away: "
                           "unset it, or fetch it elsewhere with `hf download` and give the "
                           "folder"),
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
    except (OSError, ImportError, EntryNotFoundError, HfHubHTTPError, SafetensorError) as error:
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
