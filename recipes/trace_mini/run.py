"""A whole pretraining, from images to a folder that TRACE opens; goes on where it was stopped.

OUT is the model itself, as it was at the last validation, with a card. OUT/training holds what it
takes to go on: the images, a folder for each stage, measured.json, sheet.png.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderTiny
from torch import nn

from recipes.trace_mini import autoencoder as autoencoding
from recipes.trace_mini import denoising
from recipes.trace_mini.autoencoder import build_autoencoder, measure_latents
from recipes.trace_mini.composites.sprites import Sprite
from recipes.trace_mini.denoisers import build_denoiser
from recipes.trace_mini.images import Batches, Composites, render_ahead, store_photographs
from recipes.trace_mini.model import as_backbone, check_readable, save_model
from recipes.trace_mini.settings import PretrainingSettings
from recipes.trace_mini.validation import Validation, Validator, draw_sheet
from trace_edges.files import write_atomically
from trace_edges.training import CHECKPOINT, check_checkpoint

TRAINING, MEASURED, SHEET = "training", "measured.json", "sheet.png"
_ANOTHER = 1_000  # added to the seed of the weights that are only compared with
_EVERY = 5.0  # s between writings of the times: what a kill can lose

OnStep = Callable[[str, Mapping[str, float]], object]


def pretrain(
    out: Path,
    settings: PretrainingSettings,
    sprites: Mapping[str, Sprite],
    held_out: Mapping[str, Sprite],
    photographs: Sequence[Path] = (),
    *,
    accelerator: Accelerator | None = None,
    workers: int = 0,
    on_step: OnStep | None = None,
    on_problem: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Train autoencoder and denoiser from nothing.

    Args:
        out: folder of the model; a run that was begun in it with other settings is refused.
        settings: see `PretrainingSettings`.
        sprites: that composites to learn from are made of, by name.
        held_out: that composites to measure on are made of.
        photographs: to learn from, unlabelled; none: composites only.
        accelerator: number type, gradient accumulation and devices; None: accelerate's defaults.
        workers: processes that render and crop; 0: this one.
        on_step: called with "autoencoder" or "denoiser" and what was written to its curves.
        on_problem: called with one line for every photograph that cannot be used.

    Returns:
        What measured.json holds: `seconds` of work, the `parameters`, F per timestep on held-out
        composites (`F`), of other scenes' edges (`chance`), of a model of random weights
        (`random`) and of a random denoiser on the trained autoencoder (`untrained`), the `KL`
        curve and the `denoising` error per band.

    Raises:
        ValueError: sprites are missing or on both sides, or the denoiser cannot be read by TRACE.
        FileError: the folder holds a run with other settings or images.
    """
    if not sprites or not held_out or sprites.keys() & held_out.keys():
        raise ValueError("there must be sprites to learn from, and others to measure on")
    check_readable(settings.denoiser)
    accelerator = accelerator or Accelerator()
    run = _Run(out, settings, accelerator, workers, on_step)
    begun_with = _begun_with(settings, sprites, held_out, photographs, accelerator)
    if (begun := run.folder / "autoencoder" / CHECKPOINT).exists():
        check_checkpoint(begun, begun_with)  # before anything is rendered
    with accelerator.main_process_first(), run.clock.of("pictures"):
        ahead = stored = None
        if settings.scenes:
            # Named by what it holds, so that no other run's is taken for it.
            place = run.folder / f"composites-{_digest(begun_with)}.raw"
            ahead = render_ahead(place, sprites, settings, max(1, workers))
        if photographs:
            place = run.folder / f"photographs-{_digest(begun_with)}.raw"
            stored = store_photographs(place, photographs, settings, on_problem=on_problem)
        validator = Validator(held_out, settings, max(1, workers))
    composites = Composites(sprites, settings.scene, settings.seed, ahead)
    vae = run.autoencoder(composites, stored, validator, begun_with)
    return run.denoiser(vae, composites, stored, validator, begun_with)


class _Clock:
    """Seconds of each part of a run, over all its interruptions, kept in a file.

    Args:
        path: of the file; what stands in it counts on.
        mine: whether this process writes.
    """

    def __init__(self, path: Path, mine: bool) -> None:
        self._path, self._mine = path, mine
        self.seconds: dict[str, float] = (
            json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        )
        self._part, self._since, self._written = "", 0.0, 0.0

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Within, time counts for this part."""
        self._part, self._since = part, time.monotonic()
        try:
            yield
        finally:
            self._count()
            self._write()

    def tick(self) -> None:
        """Now and then, within a part."""
        self._count()
        if time.monotonic() - self._written > _EVERY:
            self._write()

    def _count(self) -> None:
        now = time.monotonic()
        self.seconds[self._part] = self.seconds.get(self._part, 0.0) + now - self._since
        self._since = now

    def _write(self) -> None:
        if self._mine:
            with write_atomically(self._path) as temporary:
                temporary.write_text(json.dumps(self.seconds) + "\n", encoding="utf-8")
            self._written = time.monotonic()


class _Run:
    """What the stages share."""

    def __init__(
        self,
        out: Path,
        settings: PretrainingSettings,
        accelerator: Accelerator,
        workers: int,
        on_step: OnStep | None,
    ) -> None:
        self.out, self.folder, self.settings = out, out / TRAINING, settings
        self.accelerator, self.workers, self._on_step = accelerator, workers, on_step
        self.clock = _Clock(self.folder / "seconds.json", accelerator.is_main_process)

    def autoencoder(
        self, composites: Composites, stored: Any, validator: Validator, begun: str
    ) -> Any:
        settings = self.settings
        batches = Batches(
            composites, stored, settings, settings.autoencoder.batch_size, 0,
            autoencoding.STAGE, self.accelerator.process_index,
        )  # fmt: skip
        vae = build_autoencoder(settings).to(self.accelerator.device)
        with self.clock.of("autoencoder"):
            autoencoding.train_autoencoder(
                vae, batches, validator.images, self.folder / "autoencoder", settings, begun,
                self.accelerator, self.workers, self._following("autoencoder"),
            )  # fmt: skip
        return vae

    def denoiser(
        self, vae: Any, composites: Composites, stored: Any, validator: Validator, begun: str
    ) -> dict[str, Any]:
        settings, parts = self.settings, self.accelerator.gradient_accumulation_steps
        batches = Batches(
            composites, stored, settings, settings.training.batch_size,
            settings.photographs_from * parts, denoising.STAGE, self.accelerator.process_index,
        )  # fmt: skip
        denoiser = self._fresh(0).to(self.accelerator.device)
        compared = self._compared(vae, validator, batches)
        at_the_end: list[tuple[dict[str, float], Validation]] = []

        def measure(step: int) -> dict[str, float]:
            last = step == settings.training.steps
            found = self._measure(denoiser, vae, validator, chance=last)
            at_the_end.extend([found] * last)
            return found[0]

        with self.clock.of("denoiser"):
            denoising.train_denoiser(
                denoiser, vae, batches, measure, self.folder / "denoiser", settings,
                begun, self.accelerator, self.workers, self._following("denoiser"),
            )  # fmt: skip
        if not self.accelerator.is_main_process:
            return {}
        # A run that was stopped behind its last step measures once more.
        line, validation = (
            at_the_end[0] if at_the_end else self._measure(denoiser, vae, validator, True)
        )
        measured = {
            "seconds": self.clock.seconds,
            "device": str(self.accelerator.device),
            "parameters": {
                "denoiser": sum(p.numel() for p in denoiser.parameters()),
                "autoencoder": sum(p.numel() for p in vae.parameters()),
            },
            "photographs": 0 if stored is None else len(stored),
            "validation": {k: v for k, v in line.items() if k.startswith("denoising")},
            **validation.describe(),
            **compared,
        }
        with write_atomically(self.folder / MEASURED) as temporary:
            temporary.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        return measured

    def _measure(
        self, denoiser: nn.Module, vae: Any, validator: Validator, chance: bool
    ) -> tuple[dict[str, float], Validation]:
        """Save the model as it is, and validate what was saved."""
        settings = self.settings
        with as_backbone(settings.denoiser, denoiser, vae, settings.resolution) as backbone:
            validation = validator.abdiv(backbone, chance)
            bands = validator.denoising(backbone)
            draw_sheet(backbone, validator, validation, settings.resolution, self.folder / SHEET)
        half_edge = validation.half_edge[validation.best]
        save_model(self.out, settings.denoiser, denoiser, vae, settings.resolution, half_edge)
        line = {"validation_loss": sum(bands.values()) / len(bands)}
        line |= {f"denoising_{band}": error for band, error in bands.items()}
        return line | validation.curves_line(), validation

    def _compared(self, vae: Any, validator: Validator, batches: Batches) -> dict[str, Any]:
        """F of random weights, and of a random denoiser on the trained autoencoder."""
        path, settings = self.folder / "compared.json", self.settings
        if not self.accelerator.is_main_process:
            return {}
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        device, found = self.accelerator.device, {}
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed + _ANOTHER)
            random_vae = AutoencoderTiny(**settings.vae).to(device)
        measure_latents(random_vae, batches)
        for name, autoencoder in (("random", random_vae), ("untrained", vae)):
            denoiser = self._fresh(_ANOTHER).to(device)
            with as_backbone(
                settings.denoiser, denoiser, autoencoder, settings.resolution
            ) as backbone:
                validation = validator.abdiv(backbone)
            found[name] = dict(zip(map(str, validation.timesteps), validation.f, strict=True))
        with write_atomically(path) as temporary:
            temporary.write_text(json.dumps(found) + "\n", encoding="utf-8")
        return found

    def _fresh(self, more: int) -> nn.Module:
        settings = self.settings
        latents = settings.resolution // settings.factor
        channels = settings.vae["latent_channels"]
        return build_denoiser(
            settings.denoiser, settings.config, channels, latents, settings.seed + more
        )

    def _following(self, stage: str) -> Callable[[Mapping[str, float]], object]:
        def follow(line: Mapping[str, float]) -> None:
            self.clock.tick()
            if self._on_step is not None:
                self._on_step(stage, line)

        return follow


def _begun_with(
    settings: PretrainingSettings,
    sprites: Mapping[str, Sprite],
    held_out: Mapping[str, Sprite],
    photographs: Sequence[Path],
    accelerator: Accelerator,
) -> str:
    def of(given: Mapping[str, Sprite]) -> str:
        found = blake2b(digest_size=8)
        for name, sprite in given.items():
            found.update(name.encode() + sprite.tobytes())
        return f"{len(given)} {found.hexdigest()}"

    photos = blake2b(digest_size=8)
    for path in photographs:
        photos.update(path.read_bytes())
    return json.dumps(
        settings.describe() | {
            "sprites": of(sprites), "held_out": of(held_out),
            "photographs": f"{len(photographs)} {photos.hexdigest()}",
            "mixed_precision": accelerator.mixed_precision,
            "accumulate": accelerator.gradient_accumulation_steps,
            "processes": accelerator.num_processes,
        },
        sort_keys=True,
    )  # fmt: skip


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
