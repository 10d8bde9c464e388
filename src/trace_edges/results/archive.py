"""Arrays and settings in one .npz file, written whole or not at all; nothing is unpickled."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from trace_edges.files import write_atomically


def write_archive(
    path: str | Path, form: str, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write arrays (compressed) with the name of their form and their settings."""
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            format=np.array(form),
            settings=np.array(json.dumps(dict(settings))),
            **arrays,  # type: ignore[arg-type]
        )


def read_archive(path: str | Path, form: str, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and the settings that `write_archive` wrote.

    Raises:
        ValueError: the file is not `what` ("an edge map"), saved in this form.
    """
    refusal = ValueError(f"{path} is not {what} saved by trace-edges")
    try:
        with np.load(path, allow_pickle=False) as stored:
            data = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise
    except (BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error) as error:
        # A TypeError: the file holds a single array, which is no context manager.
        raise refusal from error
    if str(data.pop("format", None)) != form:
        raise refusal
    return data, json.loads(str(data.pop("settings")))
