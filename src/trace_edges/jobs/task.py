"""What a task is: what it is given of an image, what it makes of it, and what became of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from trace_edges.jobs.entries import Item
from trace_edges.results import Emergence
from trace_edges.sources import Reading

Files = dict[str, bytes]  # by suffix
Fault = Literal["", "source", "dest"]


class TaskError(ValueError):
    """One image of which nothing can be made as asked for; of others it may be."""


class KeepError(ValueError):
    """One result that could not be written; those of other images may be."""


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        key: its name: a path, or its place in a data set.
        state: "done", "skipped" since its results are there, or "failed".
        message: why it failed, or what is odd about results that are there.
        record: what is recorded of it.
        position: its place in the job, from 0.
        fault: which store it failed over, that of the images or that of the results.
        digest: of the image's file, where that came as bytes, and of a semantic map.
    """

    key: str
    state: Literal["done", "skipped", "failed"]
    message: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    position: int = 0
    fault: Fault = ""
    digest: str = ""


@dataclass(frozen=True, eq=False)
class Subject:
    """One image with its edges, as a task gets it.

    Attributes:
        key: its name.
        smooth: (h, w) edges in [0, 1].
        ridges: (h, w) where their lines run.
        reading: what they were drawn from.
        image: (h, w, 3), where the task wants it.
    """

    key: str
    smooth: Float32[np.ndarray, "h w"]
    ridges: Bool[np.ndarray, "h w"]
    reading: Reading
    image: UInt8[np.ndarray, "h w 3"] | None = None

    @property
    def thin(self) -> Float32[np.ndarray, "h w"]:
        """Edges on the ridges, 0 elsewhere."""
        return np.where(self.ridges, self.smooth, np.float32(0))


@dataclass(frozen=True, eq=False)
class Result:
    """What a task made of one image: files by suffix, entries of its record, the thing itself for
    whoever collects things, notes for the report, and the digest of what it was made of `beside`.
    """

    files: Files = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None
    notes: tuple[str, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of an image whatever the task is.

    Attributes:
        height, width: of the image, px.
        timestep, emergence: of the reading.
        made_with: what the edges of this image depend on beside the settings.
        seconds: since the last image was finished.
        notes: what was done to the image as it was loaded, and what the task notes.
    """

    height: int
    width: int
    timestep: int | None
    emergence: Emergence | None
    made_with: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = ()


class Task(ABC):
    """What is made of the edges of an image.

    Attributes:
        name: what it is called.
    """

    name: str

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of its files, without the record's."""
        return ()

    @property
    def wants_image(self) -> bool:
        """A `Subject` has to bring the image."""
        return False

    @property
    def wants_attention(self) -> bool:
        """A `Subject` has to bring the step that was read, with its attention."""
        return False

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Lists all that the result depends on, plain JSON values."""

    def beside(self, key: str) -> Path | None:
        """A file of its own that the result of an image is made of too."""
        return None

    def check(self) -> None:  # noqa: B027, since most tasks have nothing to check
        """Raises what would stop every image: a library that is missing, a folder."""

    def check_edges(self, made_with: Mapping[str, Any]) -> None:  # noqa: B027, as above
        """Raises where edges that are made with these settings cannot be used."""

    @abstractmethod
    def __call__(self, subject: Subject) -> Result:
        """Makes the result of one image.

        Raises:
            TaskError: nothing can be made of it.
        """


Keep = Callable[[Item, Result, Facts], Mapping[str, Any]]
