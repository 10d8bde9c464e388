"""The whole command: every verb with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from trace_edges.cli import command_of
from trace_edges.cli.annotate import annotate
from trace_edges.cli.backbones import backbones
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


app = command_of(Verbs)
for verb in (detect, explain, explore, backbones, doctor, segment, refine, panoptic, annotate,
             export, report, distill):  # fmt: skip
    app.command()(verb)
app.add_typer(evaluate)
