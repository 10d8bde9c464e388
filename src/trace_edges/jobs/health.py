"""Whether the stores of a job answer: asked before it begins, and when an image fails over one.

A store that answers is no reason to stop: what failed goes to the report. One that does not would
fail every further image, so it stops the job, and the images stay open.
"""

from __future__ import annotations

import time

from trace_edges.jobs.entries import Source
from trace_edges.jobs.remote import check_writable
from trace_edges.jobs.task import Fault

_TRUST = 5.0  # s that a store which answered is not asked again


class Stores:
    """Where the images of a job come from, and where its results go.

    Args:
        source: of the images.
        dest: folder or URL of the results.
    """

    def __init__(self, source: Source, dest: str) -> None:
        self._source, self._dest = source, dest
        self._answered: dict[Fault, float] = {}

    def check(self) -> None:
        """Ask both, before anything else is done.

        Raises:
            OSError: one does not answer, or takes nothing.
            ValueError: there is no such source.
            ImportError: a library for its kind of address is not installed.
        """
        self._source.check()
        check_writable(self._dest)

    def ask(self, fault: Fault) -> None:
        """Ask the one that something failed over, unless it answered just now.

        Raises:
            OSError: it does not answer: nothing further can be done.
        """
        if not fault or time.monotonic() - self._answered.get(fault, -_TRUST) < _TRUST:
            return
        try:
            self._source.check() if fault == "source" else check_writable(self._dest)
        except PermissionError:  # an answer, where listing or this one object is not allowed
            if fault == "dest":
                raise
        except (OSError, ValueError) as error:
            gone = "images" if fault == "source" else "results"
            raise OSError(f"the store of the {gone} does not answer ({error}); what is finished is "
                          "kept, and the same command continues from there") from error  # fmt: skip
        self._answered[fault] = time.monotonic()
