"""Files of weights in the folder of a part: which there are, in which variant, whole or not.

Only safetensors is ever read. Names are as diffusers and transformers give them (save_pretrained,
and older repositories of the hub): BASE.safetensors, BASE.VARIANT.safetensors,
BASE-00001-of-00002.safetensors with BASE.safetensors.index.json, BASE.VARIANT-00001-of-...
with BASE.safetensors.index.VARIANT.json, and, before, BASE-00001-of-00002.VARIANT.safetensors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from trace_edges.backbones.configs import read_object
from trace_edges.backbones.problems import BackboneError

BASES = ("diffusion_pytorch_model", "model")  # of diffusers, of transformers

_SHARD = r"-\d+-of-\d+"
_WEIGHTS = re.compile(
    rf"(?P<base>{'|'.join(BASES)})"
    rf"(\.(?P<variant>[A-Za-z]\w*))?({_SHARD})?(\.(?P<older>[A-Za-z]\w*))?\.safetensors"
)
_INDEX = re.compile(rf"(?P<base>{'|'.join(BASES)})\.safetensors\.index(\.(?P<variant>\w+))?\.json")
_SHARDED = re.compile(rf"{_SHARD}|\.index\.")
_PREFERRED = ("fp16", "bf16")  # where the plain weights are missing and nothing was asked for

# Weights that are not read, by the end of their name: why not, and the mend.
_CONVERT = (
    "pickles ({}), which may run any program when they are read: convert them with the Space "
    "safetensors/convert of the hub, or load the pipeline in diffusers where you trust it, and "
    "save it with save_pretrained(FOLDER, safe_serialization=True)"
)
UNREAD = dict.fromkeys((".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5"), _CONVERT) | {
    ".gguf": "quantised for another program ({}): give the model as .safetensors"
}
_POINTER = b"version https://git-lfs.github.com/spec/"


def variant_of(name: str) -> str | None:
    """The variant of a file of weights, or of its index; "" is the plain one, None: it is neither.

    Args:
        name: without its folder.
    """
    if found := _INDEX.fullmatch(name):
        return found["variant"] or ""
    if found := _WEIGHTS.fullmatch(name):
        return found["variant"] or found["older"] or ""
    return None


def choose_variant(
    names: Iterable[str], asked: str | None, what: str, *, must: bool = False
) -> str | None:
    """The variant of weights to read: the one asked for, else the plain one, else fp16, bf16, or
    whichever there is.

    Args:
        names: of the files in the part's folder.
        asked: None: whichever there is.
        what: the part, for messages.
        must: plain weights do not do where a variant is asked for.

    Returns:
        None stands for the plain weights.

    Raises:
        BackboneError: there is no such variant, or nothing but pickles.
    """
    here = sorted(names)
    found = {variant for name in here if (variant := variant_of(name)) is not None}
    if not found:
        for name in here:
            if (why := UNREAD.get(Path(name).suffix)) is not None:
                raise BackboneError(f"{what} has only weights that are {why.format(name)}")
        others = [name for name in here if name.endswith(".safetensors")]
        instead = f", but {others[0]}" if others else ""
        raise BackboneError(f"{what} has no file of weights ({BASES[0]}.safetensors){instead}")
    if asked and asked in found:
        return asked
    if "" in found and not (asked and must):
        return None
    if asked:
        raise BackboneError(f"{what} has no variant {asked!r}; it has {_list(found)}")
    return next((one for one in _PREFERRED if one in found), min(found))


def files_of_variant(names: Iterable[str], variant: str | None) -> list[str]:
    """The files that this variant's weights are read from: an index and those it lists, or one."""
    found = [name for name in names if variant_of(name) == (variant or "")]
    shards = [name for name in found if _SHARDED.search(name)]
    return shards if any(map(_INDEX.fullmatch, shards)) else [n for n in found if n not in shards]


def check_weights(folder: Path, variant: str | None) -> None:
    """Whether the files of weights of a part are there, each of them whole, as far as its header
    tells.

    Raises:
        BackboneError: one is missing or damaged, or the index lists something else; names it.
    """
    check_regular(folder)
    names = sorted(path.name for path in folder.iterdir())
    chosen = files_of_variant(names, variant)
    for index in filter(_INDEX.fullmatch, chosen):
        for file in dict.fromkeys(listed_weights(folder / index).values()):
            if file not in names:
                raise BackboneError(f"{folder} lacks {file}, which {index} lists: fetch it again")
    files = [name for name in chosen if _WEIGHTS.fullmatch(name)]
    if not files:
        raise BackboneError(f"{folder} has parts of weights, but no .index.json: fetch it again")
    for file in files:
        check_header(folder / file)


def listed_weights(index: Path) -> dict[str, str]:
    """The index of weights in several files: the file of each tensor.

    Raises:
        BackboneError: it is none, or leads out of its folder.
    """
    listed = read_object(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BackboneError(f"{index} has no weight_map: fetch it again")
    for file in listed.values():
        if not _WEIGHTS.fullmatch(str(file)):
            raise BackboneError(f"{index}: weight_map names {str(file)[:80]!r}, which is no "
                                ".safetensors file of this folder")  # fmt: skip
    return listed


def check_header(path: Path) -> None:
    """Whether a file of weights is one.

    Raises:
        BackboneError: it is damaged, missing, or stands for one.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise BackboneError(
                    f"{path} is a pointer of Git LFS instead of weights: run git lfs pull"
                )
        with safe_open(path, "pt") as opened:
            opened.keys()
    except FileNotFoundError as error:  # of a link
        raise BackboneError(f"{path} is a link to nothing: fetch it again") from error
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"{path} is damaged ({error}): fetch it again") from error


def check_regular(folder: Path) -> None:
    """Whether what lies in a folder can be read to an end.

    Raises:
        BackboneError: a pipe or device lies there, or no folder; names it.
    """
    if not folder.is_dir():
        raise BackboneError(f"{folder} is missing or no folder: fetch it again")
    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise BackboneError(f"{path} is not a regular file: give a file")


def _list(variants: Collection[str]) -> str:
    return ", ".join("plain weights" if not one else repr(one) for one in sorted(variants))
