"""Place of a backbone (embedded, a folder, or a repository on the hub), and its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from trace_edges.backbones.configs import kind_of, read_object
from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.backbones.families import CHECKPOINTS, FAMILIES
from trace_edges.backbones.problems import BackboneError, did_you_mean, explained
from trace_edges.backbones.specs import EMBEDDED, Family, embedded_folder
from trace_edges.backbones.weights import choose_variant, files_of_variant, variant_of

INDEX = "model_index.json"
_PICKLED = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
_READ = (".json", ".txt", ".model", ".jinja")  # beside weights: configs and tokenizers

# The hub did not answer: also errors of httpx, whose own name changes with the hub's version.
_UNREACHED: tuple[type[Exception], ...] = (
    OfflineModeIsEnabled,
    *(kind for kind in HfHubHTTPError.__mro__ if issubclass(kind, OSError)),
    *(kind for kind in HfHubHTTPError.__bases__ if issubclass(kind, Exception)),
)

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
        index = read_object(path)
        pipeline = index.get("_class_name")
        if isinstance(pipeline, list):
            raise BackboneError(
                f"{path}: _class_name is a list, of a pipeline with Python of its own: code that "
                "comes with a model is never run"
            )
        if not isinstance(pipeline, str):
            raise BackboneError(f"{path}: _class_name is {kind_of(pipeline)}, and no name")
        return index

    def files(self) -> list[str]:
        """Paths of all files in the folder or repository; of those in the cache where the hub is
        not to be asked, or does not answer.
        """
        root = Path(self.place)
        if not self.is_folder:
            try:
                if not self.local_files_only:
                    return HfApi().list_repo_files(self.place, revision=self.revision)
            except (RepositoryNotFoundError, RevisionNotFoundError):  # also of a gated one
                raise
            except _UNREACHED:  # there may be enough in the cache
                pass
            root = Path(snapshot_download(self.place, revision=self.revision,
                                          local_files_only=True))  # fmt: skip
        return [path.relative_to(root).as_posix() for path in root.glob("*/*") if path.is_file()]

    def fetch_parts(
        self, parts: Mapping[str, bool], leading: str
    ) -> tuple[Path, dict[str, str | None]]:
        """Fetch parts of a pipeline, each in one variant of its weights.

        Args:
            parts: names of their folders, and whether there are weights in it.
            leading: the part that must have the variant asked for; others may have plain weights.

        Returns:
            The folder that holds the folders of the parts, and the variant of each.

        Raises:
            BackboneError: a part is missing, or has no weights, no such variant, or only pickles.
        """
        names, wanted, variants = self.files(), list[str](), dict[str, str | None]()
        for part, has_weights in parts.items():
            here = [PurePosixPath(n).name for n in names if str(PurePosixPath(n).parent) == part]
            what = f"{self}: its {part}"
            if not here:
                raise BackboneError(f"{self} could not be loaded: it has no {part}/")
            kept = [name for name in here if name.endswith(_READ) and variant_of(name) is None]
            variants[part] = None
            if has_weights:
                variants[part] = choose_variant(here, self.variant, what, must=part == leading)
                kept += files_of_variant(here, variants[part])
            wanted += [escape(f"{part}/{name}") for name in kept]
        if self.is_folder or not wanted:
            return Path(self.place), variants
        return Path(snapshot_download(self.place, allow_patterns=wanted, **self.hub)), variants

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
