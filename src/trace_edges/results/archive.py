"""Arrays and settings in one .npz file, written whole or not at all; nothing is unpickled."""

from __future__ import annotations

import json
import math
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, ClassVar, Self
from zipfile import BadZipFile

import numpy as np

from trace_edges.files import write_atomically
from trace_edges.memory import free

# What damaged archives raise: a RuntimeError where one is encrypted or compressed in an odd way, an
# AttributeError where a single array lies in the file.
_DAMAGE = (
    BadZipFile, EOFError, OSError, TypeError, ValueError, zlib.error, KeyError, IndexError,
    AttributeError, RuntimeError, SyntaxError, MemoryError, OverflowError, TokenError,
)  # fmt: skip


class Archived(ABC):
    """A result that can be saved.

    Attributes:
        _form: what the file says that it holds.
        _called: what messages call it.
        settings: what the result was made with, plain JSON values.
    """

    _form: ClassVar[str]
    _called: ClassVar[str]
    settings: Mapping[str, Any]

    @abstractmethod
    def _arrays(self) -> dict[str, np.ndarray]:
        """All that the result holds, but for its settings."""

    @classmethod
    @abstractmethod
    def _built(cls, data: dict[str, Any], settings: dict[str, Any]) -> Self:
        """The result of such arrays; damaged ones raise what they like."""

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz file (compressed; `load` reads it)."""
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                format=np.array(self._form),
                settings=np.array(json.dumps(dict(self.settings))),
                **self._arrays(),  # type: ignore[arg-type]
            )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file holds no such result, or it is damaged.
        """
        refusal = ValueError(f"{path} is not {cls._called} saved by trace-edges")
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would keep us waiting
            raise refusal
        try:
            with np.load(path, allow_pickle=False) as stored:
                unfolded = sum(entry.file_size for entry in stored.zip.infolist())
                if unfolded > free():
                    raise refusal
                data = {name: stored[name] for name in stored.files}
            if str(data.pop("format", None)) != cls._form:
                raise refusal
            settings = json.loads(str(data.pop("settings")))
            if not isinstance(settings, dict):
                raise refusal
            return cls._built(data, settings)
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
