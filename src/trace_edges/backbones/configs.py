"""JSON files that describe models, read with distrust: an object, of sane depth and sizes.

A config says how much memory a model will take and how long it takes to make, before there is a
weight. Bounds lie far above any model there is, and far below what harms a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from trace_edges.backbones.problems import BackboneError
from trace_edges.checks import shown
from trace_edges.files import FileError, read_json

_LARGEST_FILE = 64 * 2**20  # bytes; the index of a sharded model of a thousand files has 2**20
_DEEPEST = 32
_LONGEST = 1000  # of lists: a channel, a layer or a block for each entry

_LARGEST_SIZE = 2**20

# Part of a key -> the largest number that it may have; the first that fits counts. What is no
# size (token ids, thetas of rotary embeddings) falls under the last.
_BOUNDS: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"num_.*tokens"), _LARGEST_SIZE),
    (re.compile(r"vocab|max_position|window|axes_lens"), 2**24),
    (re.compile(r"theta|token|_id$"), 2**40),
    (re.compile(r"layers|blocks|depth|stages|resnets"), 1000),
    (re.compile(r"timesteps"), 100_000),
    (re.compile(r"sample_size|image_size|pos_embed_max_size|patch_size"), 16_384),
    (
        re.compile(r"channels|dim|d_model|d_kv|d_ff|size|width|heads|groups|mlp|length|max_len"),
        _LARGEST_SIZE,
    ),
    (re.compile(r"lambda_min"), inf),  # -inf, of schedulers that clip nothing
    (re.compile(r""), 2**40),
)
_LONG_LISTS = ("trained_betas",)  # an entry for each step


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BackboneError: it is no JSON, no object, or too large to be what it should.
        OSError: it cannot be opened.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise BackboneError(
            f"{path} has {path.stat().st_size} bytes, too many for a config: fetch it again"
        )
    try:
        content = read_json(path)
    except FileError as error:
        raise BackboneError(str(error)) from error
    if not isinstance(content, dict):
        raise BackboneError(f"{path} holds {kind_of(content)} instead of an object; fetch it again")
    return content


def read_config(path: Path) -> dict[str, Any]:
    """The config of a part of a model: an object whose numbers and lists are of sane sizes.

    Raises:
        BackboneError: it is none, or describes a model that no machine holds; names the key.
        OSError: it cannot be opened.
    """
    config = read_object(path)
    for key, value, depth in _values(config):
        name = key.rpartition(".")[2].partition("[")[0]
        if depth > _DEEPEST:
            raise BackboneError(f"{path} is nested too deep, at {key[:80]}; fetch it again")
        if isinstance(value, list) and len(value) > (100 if name in _LONG_LISTS else 1) * _LONGEST:
            raise BackboneError(f"{path}: {key} has {len(value)} entries; {_LONGEST} are the "
                                "most a config may have")  # fmt: skip
        if name.endswith("attn_implementation") and "/" in str(value):
            raise BackboneError(f"{path}: {key} is {value!r}, code of the hub, which is never run: "
                                "take it out, or give another model")  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        bound = next(most for pattern, most in _BOUNDS if pattern.search(name))
        if not abs(value) <= bound:  # nor NaN
            raise BackboneError(
                f"{path}: {key} is {shown(value)}; {bound} is the most a config may have"
            )
        if value < 0 and bound <= _LARGEST_SIZE:
            raise BackboneError(
                f"{path}: {key} is {shown(value)}; 0 is the least a config may have"
            )
    return config


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false",
             int: "a number", float: "a number"}  # fmt: skip
    return names.get(type(value), "null")


def _values(config: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, Any, int]]:
    """Every value within, with its key and how deep it lies."""
    if depth > _DEEPEST + 1:
        return
    pairs: Iterator[tuple[str, Any]]
    if isinstance(config, dict):
        pairs = ((f"{key}.{name}" if key else name, value) for name, value in config.items())
    else:
        pairs = ((f"{key}[{place}]", value) for place, value in enumerate(config))
    for name, value in pairs:
        yield name, value, depth
        if isinstance(value, dict | list):
            yield from _values(value, name, depth + 1)


# Where a preprocessor has none.
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711]}  # fmt: skip
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}

Colours = tuple[Float32[Tensor, "3 1 1"], Float32[Tensor, "3 1 1"]]
"""Mean and standard deviation of red, green and blue in [0, 1]."""


def read_colours(path: Path | None, default: Mapping[str, Any]) -> Colours:
    """The colours in the config of a preprocessor.

    Args:
        path: None: there is none.
        default: `image_mean` and `image_std` where it has none.

    Raises:
        BackboneError: they are no three numbers, or nothing can be divided by them.
    """
    return colours_of({**default, **(read_object(path) if path else {})}, path)


def colours_of(values: Any, path: Path | None) -> Colours:
    """Those of `image_mean` and `image_std`, from a file for messages.

    Raises:
        BackboneError: as `read_colours`.
    """
    scales = []
    for key, least in (("image_mean", -inf), ("image_std", 0)):
        value = values.get(key) if isinstance(values, Mapping) else values
        three = isinstance(value, list | tuple) and len(value) == 3
        if not three or not all(type(v) in (int, float) and least < v < inf for v in value or ()):
            raise BackboneError(f"{path}: {key} is {str(value)[:80]}, and should be three numbers"
                                f"{' above 0' if least == 0 else ''}: fetch it again")  # fmt: skip
        scales.append(torch.tensor(value, dtype=torch.float32).reshape(3, 1, 1))
    return scales[0], scales[1]
