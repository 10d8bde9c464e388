"""The command `trace-edges`: every verb parses, calls one public function and prints a table."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    app: typer.Typer

# What --help says of each verb: the beginning of its own help. The options of all verbs take most
# of the time that the whole command needs to start, and --help shows none of them.
OUTLINE = {
    "detect": "Detect instance edges and write an edge map, an overlay and a record of each image.",
    "explain": "Draw the method at work on one image, or on a prompt, as one sheet.",
    "explore": "Open a page in the browser: edges of your images, where each pixel looks, "
    "instances to correct and export.",
    "backbones": "List the models that have names, or describe one of them.",
    "doctor": "Check whether the package works on this machine; paste the output into a "
    "bug report.",
    "segment": "Find the instances in images and write label maps, overlays and one COCO file.",
    "refine": "Cut the masks of another tool at edges, so that each covers one instance.",
    "panoptic": "Split the things in semantic maps into instances, and write COCO panoptic "
    "PNGs and JSON.",
    "annotate": "Annotate a data set of any size with edges, instances or panoptic maps.",
    "export": "Convert masks into the format of a labelling tool or a trainer, or from one "
    "into another.",
    "report": "Write a page of thumbnails with contours, to look through masks before they "
    "are corrected.",
    "distill": "Train a one-step detector from unlabelled photographs (distillation).",
    "evaluate": "Score edges, masks or panoptic maps against ground truth, and check ground truth.",
}


def command_of(group: type[TyperGroup]) -> typer.Typer:
    """`trace-edges` without a verb."""
    app = typer.Typer(
        cls=group,
        name="trace-edges",
        help="Find the edges between object instances with diffusion models, without labels "
        "(TRACE).",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",  # paragraphs of docstrings are wrapped anew
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    return app


def outline() -> typer.Typer:
    """`trace-edges --help`: the verbs with no options, and nothing to run."""
    app = command_of(TyperGroup)
    for name, line in OUTLINE.items():
        app.command(name, help=line)(lambda: None)
    return app


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trace_edges.cli.verbs import app

    return app


def _version(asked: bool) -> None:
    if asked:
        from trace_edges import __version__

        typer.echo(f"trace-edges {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the command."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # a file that is opened must not get the number of a stream
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    try:
        if set(sys.argv[1:]) <= {"-h", "--help"}:
            outline()()
        from trace_edges.cli.verbs import app

        app()
    except OSError as error:  # those of commands are told by them: this is of --help
        sys.exit(f"trace-edges: the output cannot be written ({error.strerror}): give it room")
