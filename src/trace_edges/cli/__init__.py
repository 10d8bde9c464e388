"""The command `trace-edges`: every verb parses, calls one public function and prints a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trace_edges.cli.annotate import annotate
from trace_edges.cli.backbones import backbones
from trace_edges.cli.common import moved_command
from trace_edges.cli.detect import detect
from trace_edges.cli.distill import distill
from trace_edges.cli.doctor import doctor
from trace_edges.cli.evaluate import evaluate
from trace_edges.cli.explain import explain
from trace_edges.cli.explore import explore
from trace_edges.cli.export import export
from trace_edges.cli.panoptic import panoptic
from trace_edges.cli.refine import refine
from trace_edges.cli.report import report
from trace_edges.cli.segment import segment
from trace_edges.inputs import IMAGE_SUFFIXES

# torch and diffusers take seconds to import: the commands import what they run, so that --help
# and a mistyped option answer at once.


class Verbs(TyperGroup):
    """The commands; an image in the place of one is answered with what to type."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if word not in self.commands and Path(word).suffix.lower() in IMAGE_SUFFIXES:
            ctx.fail(f"{word!r} is no command. For its edges: trace-edges detect {word}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # pydantic's own words
            raise


app = typer.Typer(
    cls=Verbs,
    name="trace-edges",
    help="Find the edges between object instances with diffusion models, without labels (TRACE).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # paragraphs of docstrings are wrapped anew
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(detect)
app.command()(explain)
app.command()(explore)
app.command()(backbones)
app.command()(doctor)
app.command()(segment)
app.command()(refine)
app.command()(panoptic)
app.command()(annotate)
app.command()(export)
app.command()(report)
app.command()(distill)
app.add_typer(evaluate)
for name in ("pretrain", "composites"):
    moved_command(app, name, f"trace-edges {name}", f"python -m recipes.trace_mini {name}")


def _version(asked: bool) -> None:
    if asked:
        from trace_edges import __version__

        typer.echo(f"trace-edges {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the command."""
    app()
