"""One component of a model from its folder: a class of diffusers or transformers, and its files.

Nothing that comes with a model is run: no Python beside its weights, no pickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from trace_edges.backbones.configs import kind_of, read_config, read_object
from trace_edges.backbones.listed import Listed
from trace_edges.backbones.problems import BackboneError, out_of_memory
from trace_edges.backbones.quantization import require_stored
from trace_edges.backbones.sources import INDEX
from trace_edges.backbones.weights import check_regular, check_weights
from trace_edges.extras import require

_SIZES = ("config.json", "scheduler_config.json")  # those of tokenizers have numbers such as 1e30

_ADAPTER = "adapter_config.json"

_OF_A_LAYER = re.compile(r"\.\d+\.")  # beside the known ones these are layers left out, or a LoRA


@cache
def _libraries() -> Mapping[str, tuple[ModuleType, tuple[type, ...]]]:
    """Libraries whose classes a model_index.json may name, and the bases of those that are read."""
    import diffusers
    import transformers
    from transformers.image_processing_utils import BaseImageProcessor
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

    of_transformers = (
        transformers.PreTrainedModel, PreTrainedTokenizerBase, transformers.ProcessorMixin,
        BaseImageProcessor,
    )  # fmt: skip
    return {
        "diffusers": (diffusers, (diffusers.ModelMixin, diffusers.SchedulerMixin)),
        "transformers": (transformers, of_transformers),
    }


def component_class(listed: Listed, name: str) -> Any:
    """The class of a component, of diffusers or transformers.

    Raises:
        BackboneError: there is no such component, or its class is not of these libraries, or of
            another version of them.
        ImportError: it needs a library that is not installed.
    """
    source, value = listed.source, listed.index.get(name)
    if value is None or value == [None, None]:
        raise BackboneError(f"{source} has no {name}: {INDEX} names none; fetch it again")
    if not (isinstance(value, list) and [type(part) for part in value] == [str, str]):
        told = kind_of(value) if not isinstance(value, list) else "no pair of names"
        raise BackboneError(f"{source}: {INDEX} has {told} for {name} instead of a library and a "
                            "class; fetch it again")  # fmt: skip
    library, kind = value
    libraries = _libraries()
    if library not in libraries:
        raise BackboneError(
            f"{source}: its {name} is a {kind[:80]} of {library[:80]!r}, and not of "
            f"{' or '.join(libraries)}: code that comes with a model is never run"
        )
    module, bases = libraries[library]
    made = getattr(module, kind, None)
    if made is None:
        raise BackboneError(
            f"{source}: its {name} is a {kind[:80]}, which {library} {module.__version__} does not "
            f"know: if a later version does, pip install --upgrade {library}"
        )
    # A stand-in for a class whose library is not installed raises when it is asked for anything.
    loadable = hasattr(made, "from_pretrained")
    if not loadable or not isinstance(made, type) or not issubclass(made, bases):
        raise BackboneError(f"{source}: its {name} is a {kind}, which is not a part of a pipeline; "
                            "fetch it again")  # fmt: skip
    return made


def read_component(
    folder: Path, kind: Any, dtype: torch.dtype, variant: str | None, quantization: Any = None
) -> Any:
    """One component from its folder.

    Args:
        kind: its class.
        dtype: of its weights, if it has any.
        variant: of its weights' files.
        quantization: diffusers' config of it.

    Raises:
        BackboneError: the folder does not hold it.
        MissingExtraError: it needs a library that is not installed.
    """
    if issubclass(kind, torch.nn.Module):
        options = {"quantization_config": quantization} if quantization is not None else {}
        return read_model(folder, kind, dtype, variant, **options)
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

    check_regular(folder)
    for file in sorted(folder.glob("*config.json")):
        config = (read_config if file.name in _SIZES else read_object)(file)
        if file.name == "scheduler_config.json" and "_class_name" not in config:
            raise BackboneError(f"{file} has no _class_name: fetch it again")
    options = {"trust_remote_code": False} if kind.__module__.startswith("transformers") else {}
    if issubclass(kind, PreTrainedTokenizerBase):
        _ask_for_sentencepiece(folder)
        _check_vocabulary(folder, kind)
    with named(f"{folder} does not hold a {kind.__name__}"):
        made = kind.from_pretrained(folder, local_files_only=True, **options)
    if hasattr(made, "tokenizer"):  # of a processor of images and texts
        _check_vocabulary(folder, type(made.tokenizer))
    return made


def read_model(
    folder: Path, kind: Any, dtype: torch.dtype, variant: str | None, **options: Any
) -> Any:
    """A model with all its weights from its folder.

    Args:
        kind: its class, or `AutoModel`.
        options: further ones of `from_pretrained`.

    Raises:
        BackboneError: the folder does not hold it.
        MissingExtraError: it is quantised by a library that is not installed.
    """
    import diffusers

    check_weights(folder, variant)
    require_stored(folder / "config.json", read_config(folder / "config.json"))
    if (folder / _ADAPTER).exists():  # transformers would read another model instead, of any place
        raise BackboneError(f"{folder} has an {_ADAPTER}, which leads to another model: merge it "
                            "with merge_and_unload of peft, and save the result")  # fmt: skip
    if not issubclass(kind, diffusers.ModelMixin):  # those of another shape are found
        options |= {"ignore_mismatched_sizes": True, "trust_remote_code": False}
    memory = out_of_memory(lambda: f"{folder} does not fit into the memory that is free")
    with memory, named(f"{folder} does not hold a {kind.__name__}"):
        model, found = kind.from_pretrained(
            folder, dtype=dtype, variant=variant, use_safetensors=True, output_loading_info=True,
            local_files_only=True, **options,
        )  # fmt: skip
    told = f"{folder} {{}} of a {type(model).__name__} (first: {{}})"
    missing = sorted(name for name in found["missing_keys"] if not name.startswith("pooler."))
    others = sorted(found["unexpected_keys"])
    left = [name for name in others if _OF_A_LAYER.search(name)]
    if not missing and left and isinstance(model, diffusers.ModelMixin):
        raise BackboneError(
            f"{told.format(f'has {len(left)} tensors that are not weights', left[0])}: its "
            "config belongs to another model, or it was saved with a LoRA that was not fused"
        )
    if missing and others:
        raise BackboneError(
            f"{told.format(f'lacks {len(missing)} weights', missing[0])}, and has "
            f"{len(others)} others (first: {others[0]}): if it was saved with a LoRA or a wrapper, "
            "unload that and save it again"
        )
    if missing:
        lacks = told.format(f"lacks {len(missing)} weights", missing[0])
        raise BackboneError(f"{lacks}: fetch it again, or save it again without the LoRA")
    if other := sorted(found.get("mismatched_keys", ())):
        name, stored, expected = other[0]
        first = f"{name}, {tuple(stored)} instead of {tuple(expected)}"
        wrong = told.format(f"has {len(other)} weights whose shapes are not those", first)
        raise BackboneError(f"{wrong}: its config belongs to another model")
    return model


def _ask_for_sentencepiece(folder: Path) -> None:
    """The file of a tokenizer of sentencepiece's is read by its library, where there is no other.

    Raises:
        MissingExtraError: it is not installed.
    """
    if any(folder.glob("*.model")) and not (folder / "tokenizer.json").is_file():
        require("sentencepiece", "sentencepiece")
        require("google.protobuf", "sentencepiece", "protobuf")


def _check_vocabulary(folder: Path, kind: Any) -> None:
    """Without its files transformers makes a tokenizer that knows no word, and says nothing.

    Raises:
        BackboneError: one is missing.
    """
    files = dict(kind.vocab_files_names)
    whole = files.pop("tokenizer_file", "tokenizer.json")
    lacking = [name for name in files.values() if not (folder / name).is_file()]
    if (lacking or not files) and not (folder / whole).is_file():
        raise BackboneError(f"{folder} lacks {(lacking or [whole])[0]}: fetch it again")


def empty_component(listed: Listed, name: str) -> Any:
    """A model of diffusers as its config has it, without weights.

    Raises:
        BackboneError: the config describes none.
    """
    kind = component_class(listed, name)
    path = listed.source.fetch(f"{name}/config.json")
    config = read_config(path)
    with named(f"{path} does not hold a {kind.__name__}"), torch.device("meta"):
        return kind.from_config(config)


@contextmanager
def named(told: str) -> Iterator[None]:
    """Errors of the libraries in one line that begins so, without their advice: of a config or of
    weights that are not what they should be, they raise nearly anything.
    """
    try:
        yield
    except (BackboneError, ImportError, OSError):
        raise
    except Exception as error:
        from accelerate.utils.memory import should_reduce_batch_size

        if isinstance(error, RuntimeError) and should_reduce_batch_size(error):
            raise
        reason = re.split(r"(?<=[\w\])'])\. ", " ".join(str(error).split()))[0][:300]
        raise BackboneError(f"{told} ({type(error).__name__}: {reason})") from error
