"""Read JSON files."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from trace_edges.files import FileError


def read_json(path: str | PathLike[str]) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: there is no such file, or it cannot be read.
        FileError: a `ValueError` of one line: it holds no JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise FileError(path, f"is no valid JSON ({error})", "write or fetch it again") from error
