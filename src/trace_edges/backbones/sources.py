"""Place of a backbone (embedded, a folder, or a repository on the hub), and its family."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.backbones.families import CHECKPOINTS, FAMILIES
from trace_edges.backbones.problems import BackboneError, did_you_mean, explained
from trace_edges.backbones.specs import EMBEDDED, Family, embedded_folder

INDEX = "model_index.json"
_PICKLED = (".ckpt", ".pt", ".pth", ".bin")

# Pipelines that cannot be read, by how their names begin, and why.
_UNREADABLE = {
    "Sana": "its self-attention is linear: it has no softmax, and so no attention map to read",
}


@dataclass(frozen=True)
class Source:
    """A diffusers pipeline, by where it lies.

    Attributes:
        name: what the user asked for.
        place: a folder, or a hub id (owner/name).
        revision, local_files_only: as in huggingface_hub.
        variant: of the weights' files, as in diffusers ("fp16").
    """

    name: str
    place: str
    revision: str | None = None
    local_files_only: bool = False
    variant: str | None = None

    def __str__(self) -> str:
        at = f" ({self.place})" if self.place != self.name else ""
        revision = f", revision {self.revision!r}" if self.revision else ""
        return f"backbone {self.name!r}{at}{revision}"

    @property
    def is_folder(self) -> bool:
        """On this disk; else on the hub."""
        return Path(self.place).is_dir()

    @property
    def is_file(self) -> bool:
        """A single file of weights."""
        return Path(self.place).is_file()

    @property
    def hub(self) -> dict[str, Any]:
        """Options of every call that may go to the hub."""
        return {"revision": self.revision, "local_files_only": self.local_files_only}

    def find(self, file: str) -> Path | None:
        """A file of the folder or repository, fetched if need be; None if it carries none."""
        if self.is_file:
            return None
        if self.is_folder:
            path = Path(self.place) / file
            return path if path.exists() else None
        try:
            return Path(hf_hub_download(self.place, file, **self.hub))
        except LocalEntryNotFoundError:  # not here, and the hub was not reached
            if file == INDEX:
                raise
            return None  # the pipeline itself is here: so would this be, if there were one
        except EntryNotFoundError:
            return None

    def fetch(self, file: str) -> Path:
        """A file of the folder or repository that there must be, fetched if need be.

        Raises:
            BackboneError: the folder or repository lacks it.
            OSError: as of huggingface_hub; the hub was not reached, for instance.
        """
        if self.is_folder:
            path = Path(self.place) / file
        else:
            try:
                path = Path(hf_hub_download(self.place, file, **self.hub))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                path = Path(self.place) / file
        if not path.exists():
            raise BackboneError(f"{self} could not be loaded: it has no {file}")
        return path

    def index(self) -> dict[str, Any]:
        """The content of model_index.json: the pipeline's class, and its components.

        Raises:
            BackboneError: there is none, or it cannot be fetched or read.
        """
        with explained(str(self)):
            path = self.find(INDEX)
        if path is None:
            raise BackboneError(
                f"{self} could not be loaded: it has no {INDEX}; give a pipeline in "
                "diffusers' format"
            )
        try:
            return dict(json.loads(path.read_text()))
        except ValueError as error:
            raise BackboneError(
                f"{self} could not be loaded: {path} is no JSON: {error}"
            ) from error

    def version(self, components: tuple[str, ...]) -> str:
        """The commit on the hub; of a folder, a digest of when these components were written."""
        if not self.is_folder:
            path = self.find(INDEX)
            assert path is not None
            return path.parent.name  # .../snapshots/COMMIT/model_index.json
        digest = blake2b(str(Path(self.place).resolve()).encode(), digest_size=16)
        for component in components:
            for path in sorted((Path(self.place) / component).rglob("*")):
                state = path.stat()
                digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}".encode())
        return digest.hexdigest()


def find_source(
    name: str | Path,
    revision: str | None = None,
    local_files_only: bool = False,
    variant: str | None = None,
) -> Source:
    """Find where a backbone of this name lies; nothing is fetched yet.

    Args:
        name: "trace-mini", a name of the table of checkpoints, a folder, a .safetensors file, or a
            hub id.

    Raises:
        BackboneError: the name is none of these.
    """
    place = str(name)
    if place == EMBEDDED:
        place = str(embedded_folder())
    elif checkpoint := CHECKPOINTS.get(place):
        place, revision = checkpoint.hub, revision or checkpoint.revision
    elif place in ENCODERS:
        raise BackboneError(f"backbone {place!r} is an encoder: here it must be a diffusion model")
    elif Path(place).suffix in _PICKLED and Path(place).is_file():
        raise BackboneError(
            f"backbone {place!r} is a pickle, which may run any program when it is read: "
            "give its .safetensors, or a folder"
        )
    elif not place or (not Path(place).exists() and place.count("/") != 1):
        names = (EMBEDDED, *CHECKPOINTS, *ENCODERS)
        raise BackboneError(
            f"backbone {place!r} is neither one of the names that `trace-edges backbones` prints, "
            f"nor a folder, nor a file, nor a hub id (owner/name){did_you_mean(place, names)}"
        )
    return Source(str(name), place, revision, local_files_only, variant)


def family_of(source: Source, index: Mapping[str, Any]) -> Family:
    """The family whose pipelines include this one.

    Args:
        index: content of the source's model_index.json.

    Raises:
        BackboneError: there is none.
    """
    pipeline = str(index.get("_class_name", "none"))
    for family in FAMILIES:
        if pipeline in family.pipelines:
            return family
    for start, reason in _UNREADABLE.items():
        if pipeline.startswith(start):
            raise BackboneError(f"{source} is a {pipeline}, which cannot be a backbone: {reason}")
    known = ", ".join(name for family in FAMILIES for name in family.pipelines)
    raise BackboneError(f"{source} is a {pipeline}; supported pipelines: {known}")


def family_of_checkpoint(name: str) -> Family:
    """The family of a named checkpoint."""
    return next(family for family in FAMILIES if name in family.checkpoints)
