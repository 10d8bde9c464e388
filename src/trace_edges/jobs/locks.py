"""Locks that hold for all processes of a user on this machine, by a name."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path

from filelock import FileLock


def lock(name: str = "") -> FileLock:
    """The lock of this name; its file lies with the temporary ones and not beside the results."""
    # A container need not know the name of its user.
    user = getpass.getuser() if sys.platform == "win32" else os.getuid()
    return FileLock(Path(tempfile.gettempdir(), f"trace-edges-{user}{name and '-'}{name}.lock"))
