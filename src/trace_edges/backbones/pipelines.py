"""Pipelines of diffusers, read in part: a backbone needs few of their components."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch

from trace_edges.backbones.components import component_class, empty_component, named, read_component
from trace_edges.backbones.listed import Listed
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import INDEX
from trace_edges.backbones.specs import Defaults, Family, NullCondition


@dataclass(frozen=True)
class Parts:
    """The parts of a backbone, as they were read."""

    family: Family
    denoiser: Any
    vae: Any
    scheduler: Any
    null: NullCondition
    defaults: Defaults | None = None


def read_pipeline(
    listed: Listed,
    wanted: Collection[str],
    dtype: torch.dtype | dict[str, torch.dtype],
    quantization: Any = None,
    **given: Any,
) -> Any:
    """Load some components of a pipeline; the others are not even fetched, and are None.

    Args:
        wanted: names of the components.
        dtype: of all of them, or of each by name.
        quantization: diffusers' config of it, for the denoiser.
        given: components that are at hand.

    Raises:
        BackboneError: a component is missing, unknown or damaged.
        ImportError: a component needs a library that is not installed.
    """
    source, index, family = listed.source, listed.index, listed.family
    classes = {name: component_class(listed, name) for name in wanted}
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
    import diffusers

    pipeline = getattr(diffusers, index["_class_name"])
    options = {
        name: parts.get(name, None if isinstance(index.get(name), list) else index.get(name))
        for name, parameter in inspect.signature(pipeline.__init__).parameters.items()
        if name in parts or name in index or parameter.default is inspect.Parameter.empty
    }
    with named(f"{source}: {INDEX} does not describe a {pipeline.__name__}"):
        return pipeline(**{name: part for name, part in options.items() if name != "self"})


def empty_denoiser(listed: Listed) -> Any:
    """The denoiser as its config has it, without weights.

    Raises:
        BackboneError: the config describes none, or one that the family does not have.
    """
    source, family = listed.source, listed.family
    denoiser = empty_component(listed, family.denoiser)
    if type(denoiser).__name__ != family.denoiser_class:  # diffusers renames some
        raise BackboneError(
            f"{source}: its {family.denoiser} is a {type(denoiser).__name__}; that of a "
            f"{listed.index['_class_name']} is a {family.denoiser_class}"
        )
    if not family.layers(denoiser):
        raise BackboneError(f"{source}: its {family.denoiser} has no self-attention to read")
    return denoiser


def checked_denoiser(listed: Listed) -> Any:
    """The denoiser without weights, which goes with the pipeline's VAE.

    Raises:
        BackboneError: as `empty_denoiser`; it takes other channels than the VAE gives.
    """
    source, family = listed.source, listed.family
    denoiser, vae = empty_denoiser(listed), empty_component(listed, "vae")
    for name, shape in family.condition(denoiser.config).items():
        if not all(isinstance(size, int) and size > 0 for size in shape):
            raise BackboneError(
                f"{source}: {family.denoiser}/config.json does not say how wide {name} is"
            )
    takes = family.channels(denoiser.config)
    gives = vae.config.get("latent_channels") or vae.config.get("z_dim")
    if takes != gives:
        raise BackboneError(
            f"{source}: its {family.denoiser} takes {takes} channels, but its VAE gives {gives}: "
            "models for inpainting or editing need further inputs, and cannot be a backbone"
        )
    return denoiser
