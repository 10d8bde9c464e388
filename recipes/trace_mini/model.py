"""The model on disk: a plain diffusers folder that `TraceEdgePipeline.from_pretrained` opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from torch import nn

from recipes.trace_mini.denoisers import KINDS
from recipes.trace_mini.denoising import make_scheduler
from trace_edges.backbones import FAMILIES, Defaults, DiffusionBackbone, load_backbone

_HALF_EDGE = 0.5  # nats, until it is measured
_INDEX = "model_index.json"


def check_readable(denoiser: str) -> None:
    """Raise where TRACE has no family that reads this kind of denoiser.

    Raises:
        ValueError: one line that says so.
    """
    pipeline = KINDS[denoiser].pipeline
    if not any(pipeline in family.pipelines for family in FAMILIES):
        known = ", ".join(name for family in FAMILIES for name in family.pipelines)
        raise ValueError(
            f"a {denoiser} would be saved as {pipeline}, which is not read here; read are {known}"
        )


def save_model(
    folder: Path,
    name: str,
    denoiser: nn.Module,
    vae: AutoencoderTiny,
    resolution: int,
    half_edge: float = _HALF_EDGE,
) -> None:
    """Write the folder, in float16. What tells that it is a model comes last, and goes first where
    there is one: at no time can a mixture of two models be opened.

    Args:
        folder: made if it is not there; other files in it stay.
        name: of the denoiser's class.
        denoiser, vae: stay as they are.
        resolution: px, that it is read at.
        half_edge: nats; see `Defaults`.
    """
    kind = KINDS[name]
    parts = {kind.component: denoiser, "vae": vae}
    halves = {part: deepcopy(model).cpu().half() for part, model in parts.items()}
    pipeline = getattr(diffusers, kind.pipeline)(
        **halves, scheduler=make_scheduler(), **kind.absent
    )
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=folder) as made:
        pipeline.save_pretrained(made)
        config: Any = denoiser.config
        null = {part: tensor.half() for part, tensor in kind.condition(config).items()}
        save_file(null, Path(made, "null_condition.safetensors"))
        defaults = asdict(Defaults(resolution, half_edge=float(f"{half_edge:.3g}")))
        Path(made, "trace_edges.json").write_text(json.dumps(defaults) + "\n", encoding="utf-8")
        (folder / _INDEX).unlink(missing_ok=True)
        _move(Path(made), folder)


@contextmanager
def as_backbone(
    name: str, denoiser: nn.Module, vae: AutoencoderTiny, resolution: int
) -> Iterator[DiffusionBackbone]:
    """What a user would load, of models that are at hand, on their device."""
    with TemporaryDirectory() as folder:
        save_model(Path(folder), name, denoiser, vae, resolution)
        yield load_backbone(folder, device=next(denoiser.parameters()).device)


def _move(source: Path, target: Path) -> None:
    """Every file of a folder to the same place below another one on the same disk."""
    for path in sorted(source.rglob("*"), key=lambda path: (path.name == _INDEX, path)):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            path.replace(place)
