"""`trace-edges explain`: one sheet that shows the method at work."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trace_edges.backbones.checkpoints import EMBEDDED
from trace_edges.cli.common import waiting
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import FILES, LOADING, TRACE, BackboneName, Reporting, check_inputs
from trace_edges.edge_model import refuse
from trace_edges.explain.settings import PromptSettings
from trace_edges.loading import Loading
from trace_edges.outputs import Outputs
from trace_edges.training_free.settings import TraceSettings

_OF_BOTH = ("resolution", "seed")  # settings that a prompt has too


@command
def explain(
    settings: Annotated[TraceSettings, TRACE],
    generation: Annotated[PromptSettings, Fields("With --prompt", leave_out=("seed",))],
    loading: Annotated[Loading, LOADING],
    reporting: Annotated[Reporting, FILES],
    image: Annotated[Path | None, typer.Argument(help="Image to explain.")] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Generate an image from this text and explain that instead."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Image file to write.")] = Path("explain.png"),
    backbone: BackboneName = EMBEDDED,
) -> None:
    """Draw the method at work on one image, or on a prompt, as one sheet.

    The sheet of an image shows the self-attention and its boundary divergence (ABDiv) at every
    step, the curve that says how much attention changes from step to step, the step t* at which it
    changes most, and the edges. The sheet of a --prompt shows how an image is generated, and the
    attention to each word beside the self-attention.

    Example: trace-edges explain photo.jpg --out sheet.png
    """
    quiet = not reporting.prints_table
    outputs = Outputs("explain", () if image is None else (image,))
    outputs.check(out)
    _check_format(out)
    if image is not None and prompt is None:
        refuse(asdict(generation), asdict(PromptSettings()), "needs --prompt")
        sheet, timestep = _of_image(image, backbone, loading, settings, quiet)
    elif prompt is not None and image is None:
        given = {k: v for k, v in asdict(settings).items() if k not in _OF_BOTH}
        given, unset = given | {"null": loading.null}, asdict(TraceSettings()) | {"null": None}
        refuse(given, unset, "is for images, not for a --prompt")
        sheet, timestep = _of_prompt(prompt, backbone, loading, settings, generation, quiet)
    else:
        raise ValueError("give an image or a --prompt, one of the two")
    from trace_edges.files import write_atomically

    with outputs.writing(), write_atomically(out) as temporary:
        sheet.save(temporary)
    if reporting.json:
        typer.echo(json.dumps({"sheet": str(out), "timestep": timestep}))
    elif not quiet:
        typer.echo(f"{out}: t* = {timestep}")


def _check_format(out: Path) -> None:
    """Refuse, before work begins, a file that Pillow would not know how to write."""
    from PIL import Image

    from trace_edges.files import FileError

    if Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise FileError(out, "is not the name of an image", "give one that ends in .png or .jpg")


def _of_image(
    image: Path, backbone: str, loading: Loading, settings: TraceSettings, quiet: bool
) -> tuple[Any, int]:
    """The sheet, and t*."""
    check_inputs(image)
    from trace_edges.images import load_image

    loaded = load_image(image)  # before a model is loaded for nothing
    with waiting(backbone, hidden=quiet):
        from trace_edges.explain import explain as draw

        pipe = loading.load_pipeline(backbone)
    sheet, result = draw(pipe, loaded, settings)
    assert result.emergence is not None
    return sheet, int(result.emergence.timestep[0])


def _of_prompt(
    prompt: str,
    backbone: str,
    loading: Loading,
    settings: TraceSettings,
    generation: PromptSettings,
    quiet: bool,
) -> tuple[Any, int]:
    """The sheet, and t*."""
    chosen = replace(
        generation,
        height=generation.height or settings.resolution,
        width=generation.width or settings.resolution,
        seed=settings.seed,
    )
    options = {k: v for k, v in loading.of_diffusion.items() if k != "null"}
    with waiting(backbone, hidden=quiet):
        from trace_edges.explain import explain_prompt, load_generator

        pipeline, inside = load_generator(backbone, **loading.placement, **options)
    sheet, made = explain_prompt(pipeline, inside, prompt, chosen)
    return sheet, made.timesteps[made.emergence]
