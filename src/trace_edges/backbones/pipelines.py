"""Pipelines of diffusers, read in part: a backbone needs few of their components.

Components are read one by one, by classes of diffusers and transformers only. Nothing that comes
with a model is run: no Python beside its weights, no pickle.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from trace_edges.backbones.configs import kind_of, read_config, read_object
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import INDEX, Source
from trace_edges.backbones.specs import Defaults, Family, NullCondition
from trace_edges.backbones.weights import check_weights
from trace_edges.extras import require

_SIZES = ("config.json", "scheduler_config.json")  # those of tokenizers have numbers such as 1e30

# What libraries raise for a config or for weights that are not what they should be.
_MISMADE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
            ValueError)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """The parts of a backbone, as they were read."""

    family: Family
    denoiser: Any
    vae: Any
    scheduler: Any
    null: NullCondition
    defaults: Defaults | None = None


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


def components_of(index: dict[str, Any]) -> list[str]:
    """Names of a pipeline's components, also of those that it does not have."""
    return [name for name, value in index.items() if isinstance(value, list)]


def has_component(index: dict[str, Any], name: str) -> bool:
    """Whether a pipeline has a component of this name."""
    value = index.get(name)
    return isinstance(value, list) and bool(value) and value[0] is not None


def component_class(source: Source, index: dict[str, Any], name: str) -> Any:
    """The class of a component, of diffusers or transformers.

    Raises:
        BackboneError: there is no such component, or its class is not of these libraries, or of
            another version of them.
        ImportError: it needs a library that is not installed.
    """
    value = index.get(name)
    if value is None or value == [None, None]:
        raise BackboneError(f"{source} has no {name}: {INDEX} names none")
    if not (isinstance(value, list) and [type(part) for part in value] == [str, str]):
        told = kind_of(value) if not isinstance(value, list) else "no pair of names"
        raise BackboneError(f"{source}: {INDEX} has {told} for {name}, where a library and a class "
                            "belong")  # fmt: skip
    library, kind = value
    libraries = _libraries()
    if library not in libraries:
        raise BackboneError(
            f"{source}: its {name} is a {kind} of {library!r}, which is none of "
            f"{', '.join(libraries)}: code that comes with a model is never run"
        )
    module, bases = libraries[library]
    made = getattr(module, kind, None)
    if made is None:
        raise BackboneError(
            f"{source}: its {name} is a {kind}, which {library} {module.__version__} does not "
            f"know: pip install --upgrade {library}, if a later one does"
        )
    # A stand-in for a class whose library is not installed raises when it is asked for anything.
    loadable = hasattr(made, "from_pretrained")
    if not loadable or not isinstance(made, type) or not issubclass(made, bases):
        raise BackboneError(f"{source}: its {name} is a {kind}, which is no part of a pipeline")
    return made


def read_pipeline(
    source: Source,
    family: Family,
    index: dict[str, Any],
    wanted: Collection[str],
    dtype: torch.dtype | dict[str, torch.dtype],
    quantization: Any = None,
    **given: Any,
) -> Any:
    """Load some components of a pipeline; the others are not even fetched, and are None.

    Args:
        index: of the pipeline.
        wanted: names of the components.
        dtype: of all of them, or of each by name.
        quantization: diffusers' config of it, for the denoiser.
        given: components that are at hand.

    Raises:
        BackboneError: a component is missing, unknown or damaged.
        ImportError: a component needs a library that is not installed.
    """
    classes = {name: component_class(source, index, name) for name in wanted}
    models = {name: issubclass(kind, torch.nn.Module) for name, kind in classes.items()}
    root, variants = source.fetch_parts(models, leading=family.denoiser)
    types = dtype if isinstance(dtype, dict) else {"default": dtype}
    parts = given | {
        name: read_component(
            root / name,
            kind,
            types.get(name, types["default"]),
            variants[name],
            quantization if name == family.denoiser else None,
        )
        for name, kind in classes.items()
    }
    pipeline = getattr(_libraries()["diffusers"][0], index["_class_name"])
    options = {
        name: parts.get(name, None if isinstance(index.get(name), list) else index.get(name))
        for name, parameter in inspect.signature(pipeline.__init__).parameters.items()
        if name in parts or name in index or parameter.default is inspect.Parameter.empty
    }
    return pipeline(**{name: part for name, part in options.items() if name != "self"})


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
    """
    for file in sorted(folder.glob("*config.json")):
        (read_config if file.name in _SIZES else read_object)(file)
    options: dict[str, Any] = {"local_files_only": True}
    if not issubclass(kind, torch.nn.Module):
        from transformers.tokenization_utils_base import PreTrainedTokenizerBase

        if issubclass(kind, PreTrainedTokenizerBase):
            _ask_for_sentencepiece(folder)
        if issubclass(kind, _libraries()["transformers"][1]):
            options["trust_remote_code"] = False
        with _named(folder, kind):
            return kind.from_pretrained(folder, **options)
    check_weights(folder, variant)
    if quantization is not None:
        options["quantization_config"] = quantization
    with _named(folder, kind):
        model, found = kind.from_pretrained(
            folder, dtype=dtype, variant=variant, use_safetensors=True, output_loading_info=True,
            **options,
        )  # fmt: skip
    if missing := sorted(found["missing_keys"]):
        raise BackboneError(
            f"{folder} lacks {len(missing)} weights of a {kind.__name__} (first: {missing[0]}): "
            "fetch it again; if a LoRA was on, unload it before saving"
        )
    return model


def _ask_for_sentencepiece(folder: Path) -> None:
    """The file of a tokenizer of sentencepiece's is read by its library, where there is no other.

    Raises:
        MissingExtraError: it is not installed.
    """
    if any(folder.glob("*.model")) and not (folder / "tokenizer.json").exists():
        require("sentencepiece", "sentencepiece")
        require("google.protobuf", "sentencepiece", "protobuf")


def empty_component(source: Source, index: dict[str, Any], name: str) -> Any:
    """A model of diffusers as its config has it, without weights.

    Raises:
        BackboneError: the config describes none.
    """
    kind = component_class(source, index, name)
    path = source.fetch(f"{name}/config.json")
    config = read_config(path)
    with _named(path, kind), torch.device("meta"):
        return kind.from_config(config)


def empty_denoiser(source: Source, family: Family, index: dict[str, Any]) -> Any:
    """The denoiser as its config has it, without weights.

    Raises:
        BackboneError: the config describes none, or one that the family does not have.
    """
    denoiser = empty_component(source, index, family.denoiser)
    if type(denoiser).__name__ != family.denoiser_class:  # diffusers renames some
        raise BackboneError(
            f"{source}: its {family.denoiser} is a {type(denoiser).__name__}; that of a "
            f"{index['_class_name']} is a {family.denoiser_class}"
        )
    if not family.layers(denoiser):
        raise BackboneError(f"{source}: its {family.denoiser} has no self-attention to read")
    return denoiser


def checked_denoiser(source: Source, family: Family, index: dict[str, Any]) -> Any:
    """The denoiser without weights, which goes with the pipeline's VAE.

    Raises:
        BackboneError: as `empty_denoiser`; it takes other channels than the VAE gives.
    """
    denoiser, vae = empty_denoiser(source, family, index), empty_component(source, index, "vae")
    takes = family.channels(denoiser.config)
    gives = vae.config.get("latent_channels") or vae.config.get("z_dim")
    if takes != gives:
        raise BackboneError(
            f"{source}: its {family.denoiser} takes {takes} channels, its VAE gives {gives}; one "
            "for inpainting or for edits takes more than the latent, and cannot be read"
        )
    return denoiser


@contextmanager
def _named(path: Path, kind: Any) -> Iterator[None]:
    """Errors of the libraries in one line that names the file."""
    try:
        yield
    except BackboneError:
        raise
    except _MISMADE as error:
        from accelerate.utils.memory import should_reduce_batch_size

        if isinstance(error, RuntimeError) and should_reduce_batch_size(error):
            raise
        reason = " ".join(str(error).split())[:300]
        raise BackboneError(
            f"{path} does not hold a {kind.__name__} ({type(error).__name__}: {reason})"
        ) from error
