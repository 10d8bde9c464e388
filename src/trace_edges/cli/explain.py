"""`trace-edges explain`: one sheet that shows the method at work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trace_edges.cli.common import plain_errors
from trace_edges.cli.options import (
    Backbone,
    Device,
    DType,
    Null,
    Offload,
    Path_,
    Quantize,
    Resolution,
    Revision,
    Seed,
    Shift,
    Stride,
    Subcell,
    Timestep,
    Trajectory,
    VaeTiling,
    Weights,
    load_options,
    load_pipeline,
    placement,
)

# What only one of the two ways has, and how each is when nobody asked for it.
_OF_IMAGE = {
    "subcell": None,
    "trajectory": Trajectory.inversion,
    "timestep": None,
    "stride": 100,
    "shift": 1.0,
    "null": None,
}
_OF_PROMPT = {"steps": None, "guidance": None, "negative_prompt": None, "height": None,
              "width": None}  # fmt: skip


def explain(
    image: Annotated[Path | None, typer.Argument(help="One image.")] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Make a picture from this, and set each word beside self-attention."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Picture to write (PNG, JPEG, ...).")] = Path(
        "explain.png"
    ),
    backbone: Backbone = "trace-mini",
    resolution: Resolution = None,
    subcell: Subcell = None,
    trajectory: Path_ = Trajectory.inversion,
    timestep: Timestep = None,
    stride: Stride = 100,
    seed: Seed = 0,
    shift: Shift = 1.0,
    steps: Annotated[
        int | None, typer.Option(help="Of the denoising, with --prompt. Default: the pipeline's.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Scale, with --prompt. Default: the pipeline's.")
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option(help="What the picture is to keep away from, with --prompt.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Of the picture, px, with --prompt. Default: native.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Of the picture, px, with --prompt. Default: native.")
    ] = None,
    device: Device = "auto",
    dtype: Weights = DType.float32,
    null: Null = None,
    revision: Revision = None,
    quantize: Quantize = None,
    offload: Offload = False,
    vae_tiling: VaeTiling = False,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Draw one sheet: self-attention and ABDiv at every step, the KL curve with t*, the edges.

    Of an image on its way to noise, or of a picture on its way from noise to a --prompt, then with
    the attention to each of its words.
    """
    with plain_errors():
        of_image = {"subcell": subcell, "trajectory": trajectory, "timestep": timestep,
                    "stride": stride, "shift": shift, "null": null}  # fmt: skip
        loaded = load_options(null, revision, quantize, offload, vae_tiling)
        of_prompt = {"steps": steps, "guidance": guidance, "negative_prompt": negative_prompt,
                     "height": height, "width": width}  # fmt: skip
        if image is not None and prompt is None:
            _refuse(of_prompt, _OF_PROMPT, "needs --prompt")
            del of_image["null"]  # it is loaded with the backbone
            settings = {"resolution": resolution, "seed": seed, **of_image}
            sheet, timestep = _of_image(image, (backbone, device, dtype), loaded, settings)
        elif prompt is not None and image is None:
            _refuse(of_image, _OF_IMAGE, "is for images, not for a --prompt")
            of_prompt |= {"height": height or resolution, "width": width or resolution}
            settings = {"seed": seed, **of_prompt}
            sheet, timestep = _of_prompt(prompt, (backbone, device, dtype), loaded, settings)
        else:
            raise ValueError("give an image or a --prompt, one of the two")
        from trace_edges.files import write_atomically

        with write_atomically(out) as temporary:
            sheet.save(temporary)
        if not quiet:
            typer.echo(f"{out}: t* = {timestep}")


def _of_image(
    image: Path,
    where: tuple[str, str, DType],
    loaded: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> tuple[Any, int]:
    """The sheet, and t*."""
    from trace_edges.explain import explain as draw
    from trace_edges.images import load_image
    from trace_edges.training_free.pipeline import TraceSettings

    picture = load_image(image)
    chosen = TraceSettings(**{**settings, "trajectory": settings["trajectory"].value})
    sheet, result = draw(load_pipeline(*where, loaded), picture, chosen)
    return sheet, int(result.emergence.timestep[0])  # type: ignore[union-attr]


def _of_prompt(
    prompt: str,
    where: tuple[str, str, DType],
    loaded: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> tuple[Any, int]:
    """The sheet, and t*."""
    from trace_edges.explain import PromptSettings, explain_prompt, load_generator

    chosen = PromptSettings(**settings)
    name, device, dtype = where
    options = {key: value for key, value in loaded.items() if key != "null"}
    pipeline, inside = load_generator(name, **placement(device, dtype), **options)
    sheet, made = explain_prompt(pipeline, inside, prompt, chosen)
    return sheet, made.timesteps[made.emergence]


def _refuse(given: Mapping[str, Any], unset: Mapping[str, Any], why: str) -> None:
    """`ValueError` where an option of the other way was given."""
    for name, value in given.items():
        if value != unset[name]:
            raise ValueError(f"--{name.replace('_', '-')} {why}")
