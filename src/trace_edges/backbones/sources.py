"""Place of a model: embedded, a folder, or a repository on the hub."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from trace_edges.backbones.checkpoints import CHECKPOINTS, EMBEDDED, embedded_folder
from trace_edges.backbones.configs import kind_of, read_object
from trace_edges.backbones.encoders.table import ENCODERS
from trace_edges.backbones.explained import UNREACHED, explained
from trace_edges.backbones.problems import BackboneError, check_backbone_name
from trace_edges.backbones.weights import UNREAD, choose_variant, files_of_variant, variant_of

INDEX = "model_index.json"
_READ = (".json", ".txt", ".model", ".jinja")  # beside weights: configs and tokenizers

_LORA = re.compile(r"(^|/)(pytorch_lora_weights|adapter_model|adapter_config)\.")
LORA_ALONE = (
    "alone: put it on its model in diffusers (load_lora_weights, fuse_lora, unload_lora_weights), "
    "save that with save_pretrained, and give its folder"
)


@dataclass(frozen=True)
class Source:
    """A diffusers pipeline, by where it lies.

    Attributes:
        name: what the user asked for.
        place: a folder, or a hub id (owner/name).
        revision, local_files_only: as in huggingface_hub.
        variant: of the weights' files, as in diffusers ("fp16").
        noun: what it is, in messages.
    """

    name: str
    place: str
    revision: str | None = None
    local_files_only: bool = False
    variant: str | None = None
    noun: str = "backbone"

    def __post_init__(self) -> None:
        """A path that is there is never taken for a hub id.

        Raises:
            BackboneError: it is neither a folder nor a file.
        """
        if Path(self.place).exists() and not (self.is_folder or self.is_file):
            raise BackboneError(f"{self} is a pipe or a device: give a folder")

    def __str__(self) -> str:
        at = f" ({self.place})" if self.place != self.name else ""
        revision = f", revision {self.revision!r}" if self.revision else ""
        return f"{self.noun} {self.name!r}{at}{revision}"

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

    def find(self, file: str, *, must: bool = False) -> Path | None:
        """A file of the folder or repository, fetched if need be; None if it carries none.

        Args:
            must: what is not known to be there, since the hub is out of reach, is an error.

        Raises:
            BackboneError: it can be no file: a pipe, or of no possible revision.
            OSError: as of huggingface_hub.
        """
        if self.is_file:
            return None
        if self.is_folder:
            path = Path(self.place) / file
            if path.exists() and not path.is_file():
                raise BackboneError(f"{path} is not a regular file: give a file")
            return path if path.exists() else None
        try:
            return Path(hf_hub_download(self.place, file, **self.hub))
        except LocalEntryNotFoundError:  # not here, and the hub was not reached
            if must:
                raise
            return None  # the pipeline itself is here: so would this be, if there were one
        except EntryNotFoundError:
            return None
        except ValueError as error:  # of a name that can be none
            raise BackboneError(f"{self} could not be loaded: {error}") from error

    def fetch(self, file: str) -> Path:
        """A file of the folder or repository that there must be, fetched if need be.

        Raises:
            BackboneError: the folder or repository lacks it, or the hub was not reached.
        """
        with explained(f"{self}: its {file}"):
            path = self.find(file, must=True)
        if path is None:
            raise BackboneError(f"{self} could not be loaded: it has no {file}")
        return path

    def index(self) -> dict[str, Any]:
        """The content of model_index.json: the pipeline's class, and its components.

        Raises:
            BackboneError: there is none, or it cannot be fetched or read.
        """
        with explained(str(self)):
            path = self.find(INDEX, must=True)
            if path is None:
                instead = _instead([] if self.is_file else self.files()[0])
                raise BackboneError(f"{self} could not be loaded: it has no {INDEX}; {instead}")
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

    def files(self) -> tuple[list[str], str]:
        """Paths of all files in the folder or repository, down to its folders, and where they were
        looked for: in the cache, if the hub is not to be asked or does not answer.
        """
        root, where = Path(self.place), ""
        if not self.is_folder:
            try:
                if not self.local_files_only:
                    return HfApi().list_repo_files(self.place, revision=self.revision), where
            except (RepositoryNotFoundError, RevisionNotFoundError):  # also of a gated one
                raise
            except UNREACHED:  # there may be enough in the cache
                pass
            root = Path(snapshot_download(self.place, revision=self.revision,
                                          local_files_only=True))  # fmt: skip
            where = " in the local cache, and the hub was not reached"
        # Links whose file is gone as well, so that they are missed and no other variant is taken.
        found = [path for path in (*root.glob("*"), *root.glob("*/*")) if not path.is_dir()]
        return [path.relative_to(root).as_posix() for path in found], where

    def fetch_parts(
        self, parts: Mapping[str, bool], leading: str
    ) -> tuple[Path, dict[str, str | None]]:
        """Fetch parts of a pipeline, each in one variant of its weights.

        Args:
            parts: names of their folders ("." is the whole), and whether there are weights in it.
            leading: the part that must have the variant asked for; others may have plain weights.

        Returns:
            The folder that holds the folders of the parts, and the variant of each.

        Raises:
            BackboneError: a part is missing, or has no weights, no such variant, or only pickles.
        """
        names, where = self.files()
        wanted, variants = list[str](), dict[str, str | None]()
        for part, has_weights in parts.items():
            here = [PurePosixPath(n).name for n in names if str(PurePosixPath(n).parent) == part]
            if not here:
                raise BackboneError(f"{self} could not be loaded: it has no {part}/{where}")
            kept = [name for name in here if name.endswith(_READ) and variant_of(name) is None]
            variants[part] = None
            if has_weights:
                what = f"{self}: its {part}" if part != "." else str(self)
                variants[part] = choose_variant(here, self.variant, what, must=part == leading)
                kept += files_of_variant(here, variants[part])
            wanted += [escape(str(PurePosixPath(part) / name)) for name in kept]
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


@contextmanager
def other_source(
    name: str | Path, noun: str, wrong: type[ValueError], **place: Any
) -> Iterator[Source]:
    """Where a model lies that is no backbone; whatever stops its loading is raised as `wrong`.

    Args:
        noun: what messages call it.
        place: `revision` and `local_files_only`.
    """
    try:
        source = Source(str(name), str(name), noun=noun, **place)
        if not source.is_folder and source.place.count("/") != 1:
            raise wrong(f"{source} is neither a folder nor a hub id (owner/name)")
        with explained(str(source)):
            yield source
    except BackboneError as error:
        raise wrong(str(error)) from error


def _instead(names: Collection[str]) -> str:
    """What a folder or repository without a pipeline has, and what to give instead."""
    if found := [name for name in names if _LORA.search(name)]:
        return f"{found[0]} is a LoRA {LORA_ALONE}"
    for name in names:
        if "/" in name:
            continue
        if name.endswith(".safetensors") and variant_of(name) is None:
            return f"if {name} is the whole model, give that file"
        if (why := UNREAD.get(PurePosixPath(name).suffix)) is not None:
            return f"its weights are {why.format(name)}"
    if "config.json" in names:
        return "if it is one part of a pipeline, give the folder of the whole"
    return "give a pipeline in diffusers' format"


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
    elif Path(place).is_file() and (kind := Path(place).suffix) != ".safetensors":
        if (why := UNREAD.get(kind)) is not None:
            raise BackboneError(f"backbone {place!r} has only weights that are {why.format(kind)}")
        raise BackboneError(f"backbone {place!r} is not a .safetensors file: give one, or a folder")
    else:
        check_backbone_name(place)
    return Source(str(name), place, revision, local_files_only, variant)
