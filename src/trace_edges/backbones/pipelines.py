"""Pipelines of diffusers, read in part: a backbone needs few of their components.

Quantization is left to the libraries and configs that diffusers knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
import transformers

from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import Source
from trace_edges.backbones.specs import Defaults, Family, NullCondition
from trace_edges.extras import require


@dataclass(frozen=True)
class Parts:
    """The parts of a backbone, as they were read."""

    family: Family
    denoiser: Any
    vae: Any
    scheduler: Any
    null: NullCondition
    defaults: Defaults | None = None


def components_of(index: dict[str, Any]) -> list[str]:
    """Names of a pipeline's components, also of those that it does not have."""
    return [name for name, value in index.items() if isinstance(value, list)]


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
        ImportError: a component needs a library that is not installed.
    """
    _ask_for_libraries({name: index.get(name) for name in wanted})
    options = {name: None for name in components_of(index) if name not in wanted} | given
    if quantization is not None:
        options["quantization_config"] = diffusers.PipelineQuantizationConfig(
            quant_mapping={family.denoiser: quantization}
        )
    return diffusers.DiffusionPipeline.from_pretrained(
        source.place, dtype=dtype, variant=source.variant, use_safetensors=True, **source.hub,
        **options,
    )  # fmt: skip


def _ask_for_libraries(index: dict[str, Any]) -> None:
    """`ImportError` where a class of transformers wants a library that is not installed.

    In its place there is a stand-in, which raises when it is asked for anything; diffusers does not
    ask, and reports that the class cannot be loaded.
    """
    for library, name in (value for value in index.values() if isinstance(value, list)):
        if library == "transformers" and (kind := getattr(transformers, name, None)):
            hasattr(kind, "from_pretrained")


def empty_denoiser(source: Source, family: Family, index: dict[str, Any]) -> Any:
    """The denoiser as its config has it, without weights."""
    kind = getattr(diffusers, index[family.denoiser][1])
    config = kind.load_config(source.place, subfolder=family.denoiser, **source.hub)
    with torch.device("meta"):
        return kind.from_config(config)


@dataclass(frozen=True)
class Quantization:
    """One row of the table.

    Attributes:
        library: that it needs; of the extra "quantize".
        config: (type of the activations) -> diffusers' config.
        accelerator: it needs one.
    """

    library: str
    config: Callable[[torch.dtype], Any]
    accelerator: bool = False


def _four_bits(dtype: torch.dtype) -> Any:
    return diffusers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def _eight_bits(dtype: torch.dtype) -> Any:
    return diffusers.BitsAndBytesConfig(load_in_8bit=True)


def _int8(dtype: torch.dtype) -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return diffusers.TorchAoConfig(Int8WeightOnlyConfig())


QUANTIZATIONS: Mapping[str, Quantization] = {
    "bnb-4bit": Quantization("bitsandbytes", _four_bits, accelerator=True),
    "bnb-8bit": Quantization("bitsandbytes", _eight_bits, accelerator=True),
    "torchao-int8": Quantization("torchao", _int8),
}


def quantization_config(name: str | None, dtype: torch.dtype) -> Any:
    """Diffusers' config of a quantization, by a name of `QUANTIZATIONS`; None for None.

    Raises:
        BackboneError: there is none of this name, or no accelerator for it.
        MissingExtraError: its library is not installed.
    """
    if name is None:
        return None
    if name not in QUANTIZATIONS:
        raise BackboneError(f"unknown quantization {name!r}; known: {', '.join(QUANTIZATIONS)}")
    row = QUANTIZATIONS[name]
    require(row.library, "quantize")
    if row.accelerator and torch.accelerator.current_accelerator(check_available=True) is None:
        others = [key for key, other in QUANTIZATIONS.items() if not other.accelerator]
        raise BackboneError(
            f"{name} needs an accelerator, and there is none; {', '.join(others)} works on a CPU"
        )
    return row.config(dtype)
