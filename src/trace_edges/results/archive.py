"""Arrays and settings in one .npz file, written whole or not at all; nothing is unpickled."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from trace_edges.files import write_atomically
from trace_edges.memory import free

Built = TypeVar("Built")

# What damaged archives raise: a RuntimeError where one is encrypted or compressed in an odd way, an
# AttributeError where a single array lies in the file.
_DAMAGE = (
    BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error, KeyError, IndexError,
    AttributeError, RuntimeError, SyntaxError, MemoryError, OverflowError, TokenError,
)  # fmt: skip


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


def read_archive(
    path: str | Path, form: str, what: str, build: Callable[[dict[str, Any], dict[str, Any]], Built]
) -> Built:
    """What `build` makes of the arrays and the settings that `write_archive` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not `what` ("an edge map"), saved in this form, or it is damaged.
    """
    refusal = ValueError(f"{path} is not {what} saved by trace-edges")
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would keep us waiting for ever
        raise refusal
    try:
        with np.load(path, allow_pickle=False) as stored:
            unfolded = sum(entry.file_size for entry in stored.zip.infolist())
            if unfolded > free():
                raise refusal
            data = {name: stored[name] for name in stored.files}
        if str(data.pop("format", None)) != form:
            raise refusal
        settings = json.loads(str(data.pop("settings")))
        if not isinstance(settings, dict):
            raise refusal
        return build(data, settings)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        # A TypeError: the file holds a single array, which is no context manager.
        raise refusal from (None if error is refusal else error)


def unpacked(bits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Booleans of a shape that `np.packbits` packed.

    Raises:
        ValueError: there are fewer or more than the shape has.
    """
    count = math.prod(shape)
    if min(shape, default=0) < 0 or bits.size != -(-count // 8):
        raise ValueError(f"{bits.size} bytes do not hold {shape}")
    return np.unpackbits(bits, count=count).astype(bool).reshape(shape)
