"""`python -m recipes.trace_mini`: how the embedded weights were made."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from trace_edges.cli.common import console, error, plain_errors, progress
from trace_edges.outputs import Outputs

_EVERY = 4  # of the embedded sprites one is held out

SPRITES = (
    "Folder of PNG or WebP images with a transparent background, or an npz archive of sprites. "
    "Default: the 24 sprites of the recipe."
)
SEED = typer.Option(help="Seed of everything that is drawn at random.", min=0)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def composites(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the images and their ground truth.")
    ],
    n: Annotated[int, typer.Option("--n", help="Number of composites.", min=1)] = 100,
    seed: Annotated[int, SEED] = 0,
    sprites: Annotated[Path | None, typer.Option(help=SPRITES)] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="File in .npy format with the rows of the archive to use. Default: all."),
    ] = None,
    height: Annotated[int, typer.Option(help="Height of the images in pixels.", min=32)] = 384,
    width: Annotated[int, typer.Option(help="Width of the images in pixels.", min=32)] = 384,
    smallest: Annotated[
        float,
        typer.Option(
            help="Side of the smallest sprite, as a share of sqrt(height * width); at 0.013 it "
            "covers about 0.01 % of the image."
        ),
    ] = 0.12,
    largest: Annotated[
        float, typer.Option(help="Side of the largest sprite, as such a share.")
    ] = 0.45,
    most: Annotated[int, typer.Option(help="Largest number of objects in an image.", min=1)] = 12,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Write composites: images of pasted sprites whose instances are known to the pixel.

    Example: python -m recipes.trace_mini composites --out scenes --n 200
    """
    with plain_errors():
        from recipes.trace_mini.composites import SceneSettings, load_sprites, write_composites

        found = load_sprites(sprites, rows)
        fewest = min(SceneSettings.objects[0], most)
        settings = SceneSettings(height, width, (fewest, most), (smallest, largest))
        outputs = Outputs("composites", tuple(path for path in (sprites, rows) if path is not None))
        with outputs.writing(), progress(n, "scenes", hidden=quiet) as advance:
            write_composites(out, found, n, seed=seed, settings=settings, progress=advance)
        if not quiet:
            console.print(f"{n} scenes of {len(found)} sprites in {escape(str(out))}")


class Config(StrEnum):
    """Names of the sets of settings, for the command line."""

    smoke = "smoke"
    gpu = "gpu"
    gpu_512 = "gpu-512"


class Precision(StrEnum):
    """Number types of the training, as accelerate calls them."""

    no = "no"
    bf16 = "bf16"


@app.command()
def pretrain(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the model and the state of the run.")
    ],
    config: Annotated[
        Config, typer.Option(help="Settings; smoke takes minutes on a CPU.")
    ] = Config.smoke,
    sprites: Annotated[Path | None, typer.Option(help=SPRITES)] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="File in .npy format with the rows of the archive that are used for validation "
            "only. Default: every fourth sprite."
        ),
    ] = None,
    photographs: Annotated[
        list[str] | None,
        typer.Option(
            help="Photographs to train on as well: files, folders or patterns; may be given "
            "several times."
        ),
    ] = None,
    photographs_share: Annotated[
        float | None,
        typer.Option(help="Share of photographs in a batch. Default: the config's.", min=0, max=1),
    ] = None,
    autoencoder_steps: Annotated[
        int | None,
        typer.Option(
            help="Number of training steps of the autoencoder. Default: the config's.", min=1
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Number of training steps of the denoiser. Default: the config's.", min=1
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Number of images in a batch, of autoencoder and denoiser. Default: the config's.",
            min=1,
        ),
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option(help="Number of steps between checkpoints. Default: the config's.", min=1),
    ] = None,
    scenes: Annotated[
        int | None,
        typer.Option(
            help="Number of composites that are rendered before the training; with 0, each is "
            "rendered when it is needed. Default: the config's.",
            min=0,
        ),
    ] = None,
    check_scenes: Annotated[
        int | None,
        typer.Option(
            help="Number of composites of held-out sprites for validation. Default: the config's.",
            min=2,
        ),
    ] = None,
    seed: Annotated[int, SEED] = 0,
    mixed_precision: Annotated[
        Precision, typer.Option(help="Number type of mixed-precision training.")
    ] = Precision.no,
    accumulate: Annotated[
        int,
        typer.Option(help="Number of batches whose gradients are summed for one step.", min=1),
    ] = 1,
    workers: Annotated[
        int,
        typer.Option(
            help="Number of processes that render composites; 0 renders in the main process.", min=0
        ),
    ] = 0,
    sprites_licence: Annotated[
        str | None,
        typer.Option(help="Source and licence of --sprites, which the model card states."),
    ] = None,
    photographs_licence: Annotated[
        str | None,
        typer.Option(help="Source and licence of --photographs, which the model card states."),
    ] = None,
    watts: Annotated[
        float | None,
        typer.Option(
            help="Power of the machine in watts, for the model card. Default: 50; 1000 on CUDA."
        ),
    ] = None,
    carbon_intensity: Annotated[
        float,
        typer.Option(help="Grams of CO2-equivalent per kilowatt-hour, for the model card."),
    ] = 400.0,
    device: Annotated[
        str,
        typer.Option(
            help="Device to run on: cpu, cuda, cuda:1, mps, and so on; auto takes an accelerator "
            "if there is one."
        ),
    ] = "auto",
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Train a backbone from scratch, on composites and photographs, without labels.

    To continue after an interruption, give the same command again.

    Example: python -m recipes.trace_mini pretrain --out run
    """
    with plain_errors():
        from accelerate import Accelerator

        from recipes.trace_mini import CONFIGS, Provenance, write_card
        from recipes.trace_mini import pretrain as train
        from recipes.trace_mini.composites import load_sprites
        from trace_edges.files import find_images

        if held_out is not None and sprites is None:
            raise ValueError("--held-out names rows of an archive: give --sprites too")
        settings = _changed(
            CONFIGS[config.value], autoencoder_steps, steps, batch_size, save_every,
            scenes=scenes, check_scenes=check_scenes, photographs_share=photographs_share,
            seed=seed,
        )  # fmt: skip
        found = load_sprites(sprites)
        names = list(found)[::_EVERY] if held_out is None else list(load_sprites(sprites, held_out))
        learnt = {name: sprite for name, sprite in found.items() if name not in names}
        kept = {name: found[name] for name in names}
        given = find_images(photographs) if photographs else None
        problems = [str(problem) for problem in given.problems] if given else []
        for problem in problems:
            error(problem)

        def on_problem(problem: str) -> None:
            problems.append(problem)
            error(problem)

        accelerator = Accelerator(
            mixed_precision=mixed_precision.value,
            gradient_accumulation_steps=accumulate,
            cpu=device == "cpu",
        )
        total = settings.autoencoder.steps + settings.training.steps
        read = (*(given.images if given else ()), *(one for one in (sprites, held_out) if one))
        outputs = Outputs("pretrain", read)
        with outputs.writing(), progress(total, "pretraining", hidden=quiet) as advance:

            def follow(stage: str, line: Mapping[str, float]) -> None:
                advance()
                if "validation_loss" in line and not quiet:
                    console.print(_summary(stage, line))

            measured = train(
                out, settings, learnt, kept, given.images if given else (),
                accelerator=accelerator, workers=workers, on_step=follow, on_problem=on_problem,
            )  # fmt: skip
        if accelerator.is_main_process:
            cuda = accelerator.device.type == "cuda"
            provenance = Provenance(
                command=shlex.join(["python", "-m", "recipes.trace_mini", *sys.argv[1:]]),
                sprites=_sprites_source(sprites, sprites_licence),
                photographs=photographs_licence or "source and licence not stated",
                watts=watts or (1000.0 if cuda else 50.0),
                carbon_intensity=carbon_intensity,
            )
            with outputs.writing():
                write_card(out, settings, measured, provenance)
            if not quiet:
                _print_result(measured, out)
        if problems:
            raise typer.Exit(1)


def _changed(
    settings: Any,
    autoencoder_steps: int | None,
    steps: int | None,
    batch_size: int | None,
    save_every: int | None,
    **others: Any,
) -> Any:
    """The config with what was given in place of its own."""
    stages = {}
    for name, count in (("autoencoder", autoencoder_steps), ("training", steps)):
        stage = getattr(settings, name)
        stages[name] = replace(
            stage, steps=count or stage.steps, batch_size=batch_size or stage.batch_size,
            save_every=save_every or stage.save_every,
        )  # fmt: skip
    given = {name: value for name, value in others.items() if value is not None}
    return replace(settings, **stages, **given)


def _sprites_source(sprites: Path | None, licence: str | None) -> str:
    if licence is not None:
        return licence
    if sprites is None:
        return "the sprites that come with trace-edges, Fluent Emoji by Microsoft, MIT."
    return "sprites of a folder or archive of the user; source and licence not stated."


def _summary(stage: str, line: Mapping[str, float]) -> str:
    read = {name: value for name, value in line.items() if name.startswith("F_")}
    best = max(read, key=lambda name: read[name], default=None)
    edges = "" if best is None else f", F {read[best]:.3f} at t = {best.removeprefix('F_')}"
    return f"{stage}, step {line['step']}: validation loss {line['validation_loss']:.4f}{edges}"


def _print_result(measured: Mapping[str, Any], out: Path) -> None:
    best = str(measured["best_timestep"])
    others = ", ".join(
        f"{name} {max(measured[key].values()):.3f}"
        for name, key in (("random denoiser", "untrained"), ("random weights", "random"))
    )
    f, chance = measured["F"][best], measured["chance"][best]
    console.print(f"F {f:.3f} at t = {best}; {others}, chance {chance:.3f}")
    console.print(f"model: {escape(str(out))}")


if __name__ == "__main__":
    app()
