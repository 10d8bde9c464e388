"""The folder of a run, watched: a full disk or a folder that is gone is said at the next step."""

from __future__ import annotations

import os
import shutil
from errno import ENOSPC
from pathlib import Path

from trace_edges.files import FileError, remove_temporaries

LEAST = 16 << 20  # bytes that labels and a small checkpoint take


def check_room(folder: Path, needed: int = LEAST) -> None:
    """Refuse a folder, which need not be there yet, that nothing more can be written into.

    Raises:
        OSError: the disk holds less than the `needed` bytes.
        FileError: the folder may not be written to.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    if not os.access(there, os.W_OK):
        raise FileError(there, "may not be written to", "give another place for the results")
    disk = shutil.disk_usage(there)
    if disk.total and disk.free < needed:  # some network drives know neither
        raise OSError(
            ENOSPC,
            f"the disk is full: {disk.free >> 20} MiB are free, and {-(-needed >> 20)} MiB are "
            "needed; make room and start the same command again",
            str(folder),
        )


class Destination:
    """The folder of a run, which must stay where it is, with room for what is written there.

    Args:
        folder: made if it is not there; what a killed run left half-written in it is removed.
        needed: bytes of what is written at once.
    """

    def __init__(self, folder: Path, needed: int = LEAST) -> None:
        check_room(folder, needed)
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)
        self._folder, self._identity, self._needed = folder, _identity(folder), needed

    def check(self) -> None:
        """Errors as of `check_room`, and a FileError if the folder is gone."""
        if _identity(self._folder) != self._identity:
            raise FileError(
                self._folder, "is no longer the folder that the run was begun in",
                "bring it back, or start the same command again",
            )  # fmt: skip
        check_room(self._folder, self._needed)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
