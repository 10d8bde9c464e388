"""Denoisers in fewer bits: the libraries and configs that diffusers knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trace_edges.backbones.configs import kind_of
from trace_edges.backbones.problems import BackboneError
from trace_edges.extras import require


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
    from diffusers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def _eight_bits(dtype: torch.dtype) -> Any:
    from diffusers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)


def _int8(dtype: torch.dtype) -> Any:
    from diffusers import TorchAoConfig
    from torchao.quantization import Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


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


def require_stored(path: Path, config: Mapping[str, Any]) -> None:
    """Weights that were stored in fewer bits need the library that made them.

    Args:
        path: of the config.

    Raises:
        BackboneError: none that is known here made them.
        MissingExtraError: it is not installed.
    """
    stored = config.get("quantization_config")
    if stored is None:
        return
    library = stored.get("quant_method") if isinstance(stored, dict) else kind_of(stored)
    known = sorted({row.library for row in QUANTIZATIONS.values()})
    if library not in known:
        raise BackboneError(
            f"{path}: quantization_config is of {str(library)[:80]!r}, which is none of "
            f"{', '.join(known)}: give the model in its own number type"
        )
    require(library, "quantize")
