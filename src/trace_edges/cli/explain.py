"""`trace-edges explain`: one sheet that shows the method at work."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from trace_edges.cli.common import waiting
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import LOADING, TRACE, check_inputs
from trace_edges.edge_model import EMBEDDED, Loading
from trace_edges.outputs import Outputs
from trace_edges.training_free.settings import TraceSettings

_OF_BOTH = ("resolution", "seed")  # settings that a prompt has too


@dataclass(frozen=True)
class Generation:
    """How an image is made, with --prompt.

    Attributes:
        steps: Of the denoising. None: the pipeline's.
        guidance: Its scale. None: the pipeline's.
        negative_prompt: What the image is to keep away from.
        height: Of the image, px. None: native.
        width: Of the image, px. None: native.
    """

    steps: int | None = None
    guidance: float | None = None
    negative_prompt: str | None = None
    height: int | None = None
    width: int | None = None


@command
def explain(
    settings: Annotated[TraceSettings, TRACE],
    generation: Annotated[Generation, Fields("With --prompt")],
    loading: Annotated[Loading, LOADING],
    image: Annotated[Path | None, typer.Argument(help="One image.")] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Make an image from this, and set each word beside self-attention."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Image to write (PNG, JPEG, ...).")] = Path(
        "explain.png"
    ),
    backbone: Annotated[
        str, typer.Option(help="A name (`trace-edges backbones`), a folder, or a hub id.")
    ] = EMBEDDED,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Draw one sheet: self-attention and ABDiv at every step, the KL curve with t*, the edges.

    Of an image on its way to noise, or of one on its way from noise to a --prompt, then with the
    attention to each of its words.
    """
    outputs = Outputs("explain", () if image is None else (image,))
    outputs.check(out)
    if image is not None and prompt is None:
        _refuse(asdict(generation), asdict(Generation()), "needs --prompt")
        sheet, timestep = _of_image(image, backbone, loading, settings, quiet)
    elif prompt is not None and image is None:
        given = {one.name: getattr(settings, one.name) for one in fields(settings)}
        given = {k: v for k, v in given.items() if k not in _OF_BOTH} | {"null": loading.null}
        unset = {one.name: one.default for one in fields(settings)} | {"null": None}
        _refuse(given, unset, "is for images, not for a --prompt")
        sheet, timestep = _of_prompt(prompt, backbone, loading, settings, generation, quiet)
    else:
        raise ValueError("give an image or a --prompt, one of the two")
    from trace_edges.files import write_atomically

    with outputs.writing(), write_atomically(out) as temporary:
        sheet.save(temporary)
    if not quiet:
        typer.echo(f"{out}: t* = {timestep}")


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
    generation: Generation,
    quiet: bool,
) -> tuple[Any, int]:
    """The sheet, and t*."""
    sized = replace(
        generation,
        height=generation.height or settings.resolution,
        width=generation.width or settings.resolution,
    )
    options = {k: v for k, v in loading.of_diffusion.items() if k != "null"}
    with waiting(backbone, hidden=quiet):
        from trace_edges.explain import PromptSettings, explain_prompt, load_generator

        pipeline, inside = load_generator(backbone, **loading.placement, **options)
    chosen = PromptSettings(seed=settings.seed, **asdict(sized))
    sheet, made = explain_prompt(pipeline, inside, prompt, chosen)
    return sheet, made.timesteps[made.emergence]


def _refuse(given: dict[str, Any], unset: dict[str, Any], why: str) -> None:
    """`ValueError` where an option of the other kind was given."""
    for name, value in given.items():
        if value != unset[name]:
            raise ValueError(f"--{name.replace('_', '-')} {why}")
