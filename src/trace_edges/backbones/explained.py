"""What stops loading, whatever library says so, as one line that gives the mend."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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

from trace_edges.backbones.problems import BackboneError
from trace_edges.extras import MissingExtraError

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
            warnings.filterwarnings("ignore", module=r"torch\.")  # of layers without a channel
            yield
    finally:
        for library, verbosity, bar in before:
            library.set_verbosity(verbosity)
            if bar:
                library.enable_progress_bar()
