"""What an evaluation leaves behind: one JSON object with scores, protocol and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trace_edges.files import write_json


def score_record(scores: Any, files: Mapping[str, Path | None], *packages: str) -> dict[str, Any]:
    """The fields of a result dataclass, the files they come from, and what computed them.

    Args:
        scores: a dataclass of plain values.
        files: by role; those that are None are left out.
        packages: distributions whose version matters, beside this one and numpy.
    """
    return {
        **asdict(scores),
        "files": {role: str(path) for role, path in files.items() if path is not None},
        "versions": {name: version(name) for name in ("trace-edges", "numpy", *packages)},
    }


def write_record(record: Mapping[str, Any], path: Path) -> None:
    """Write the record, whole or not at all; errors as in `write_atomically`."""
    write_json(record, path, indent=2)
