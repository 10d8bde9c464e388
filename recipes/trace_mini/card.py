"""The model card: data, training, measurements and cost of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.trace_mini.settings import PretrainingSettings
from trace_edges.files import write_atomically

CARD = "README.md"


@dataclass(frozen=True)
class Provenance:
    """Facts about a run that it cannot know of itself.

    Attributes:
        command: that made the model.
        sprites, photographs: where they are from, and under which licences.
        watts: that the machine draws while it trains.
        carbon_intensity: g of CO2-equivalent of a kWh.
    """

    command: str
    sprites: str
    photographs: str
    watts: float
    carbon_intensity: float


def write_card(
    folder: Path, settings: PretrainingSettings, measured: Mapping[str, Any], provenance: Provenance
) -> None:
    """README.md of the model's folder."""
    with write_atomically(folder / CARD) as temporary:
        temporary.write_text(card(settings, measured, provenance), encoding="utf-8")


def carbon(seconds: float, provenance: Provenance) -> tuple[float, float]:
    """Energy in kWh and g of CO2-equivalent of so long a run."""
    energy = seconds / 3600 * provenance.watts / 1000
    return energy, energy * provenance.carbon_intensity


def card(settings: PretrainingSettings, measured: Mapping[str, Any], provenance: Provenance) -> str:
    """The text, with what `pretrain` returned as `measured`."""
    seconds = measured["seconds"]
    total = sum(seconds.values())
    energy, grams = carbon(total, provenance)
    watts, intensity = provenance.watts, provenance.carbon_intensity
    best = str(measured["best_timestep"])
    parameters = measured["parameters"]
    steps = list(measured["F"])
    rows = {
        "this model": measured["F"],
        "random denoiser, this autoencoder": measured["untrained"],
        "random weights": measured["random"],
        "chance (another scene's edges)": measured["chance"],
    }
    table = "\n".join([
        f"| t | {' | '.join(steps)} |",
        f"|---|{'---|' * len(steps)}",
        *(
            f"| {name} | {' | '.join(f'{values[step]:.3f}' for step in steps)} |"
            for name, values in rows.items()
        ),
    ])  # fmt: skip
    bands = ", ".join(
        f"{name.removeprefix('denoising_')}: {error:.3f}"
        for name, error in measured["validation"].items()
    )
    shown = f"{measured['photographs']} squares of photographs" if measured["photographs"] else ""
    photographs = f"{shown}: {provenance.photographs}" if shown else "none; composites alone"
    learnt, first = settings.training, settings.autoencoder
    scenes = f"{settings.scenes} scenes" if settings.scenes else "endless scenes"
    spent = ", ".join(f"{part} {value:.0f} s" for part, value in seconds.items())
    return f"""---
library_name: diffusers
pipeline_tag: image-segmentation
tags:
  - instance-edges
  - self-attention
  - unsupervised
  - safetensors
---

# A backbone for TRACE, trained from nothing

Edges between instances are read from the self-attention of this small latent diffusion model, by
the method of [TRACE](https://arxiv.org/abs/2503.07982). This command made it, and makes it again:

```
{provenance.command}
```

```python
import trace_edges as te

pipe = te.TraceEdgePipeline.from_pretrained("FOLDER")  # this one
```

## What it is

A plain diffusers folder in float16: `{settings.denoiser}` with {parameters["denoiser"]:,}
parameters and an `AutoencoderTiny` with {parameters["autoencoder"]:,}; DDIM, scaled-linear betas
0.00085 to 0.012, epsilon prediction; {settings.resolution} px. There is no text encoder: it was
trained on the null condition of `null_condition.safetensors` alone.

## What it was trained on

- Composites ({scenes}, drawn from seed {settings.seed}): {provenance.sprites}
- Photographs: {photographs}

No label was used. Autoencoder: {first.steps:,} steps of batch {first.batch_size}. Denoiser:
{learnt.steps:,} steps of batch {learnt.batch_size}, AdamW {learnt.learning_rate:g}, min-SNR
{settings.min_snr:g}, EMA {learnt.ema:g}.

## What was measured

F of ABDiv on {settings.check_scenes} composites of sprites that training never saw, one-to-one
matching within {settings.tolerance:g} px, per timestep (inversion, all layers). The best step is
t = {best}.

{table}

Mean squared error of the noise per band of timesteps, on the same scenes: {bands}.
Curves: `training/denoiser/curves.png` (and `.jsonl`); samples and edges: `training/sheet.png`.

## What it cost

{total:.0f} s on `{measured["device"]}` ({spent}). Taken as {watts:g} W throughout and
{intensity:g} g of CO2-equivalent per kWh, both assumptions and not measured, that is
{energy:.4f} kWh and {grams:.1f} g.

## Limits

- The numbers above are on composites: clean sprites on smooth ground. They say nothing of
  photographs.
- Localisation is limited by the attention grid; objects of less than a few cells are lost.
- It was not made to generate images.
- Terms of the training images may reach the weights; that is unsettled. Check those named above.
"""
