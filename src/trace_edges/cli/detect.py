"""`trace-edges detect`: edges of image files into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.checks import printable
from trace_edges.cli.common import print_outcomes, waiting
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import (
    FILES,
    LOADING,
    MODEL,
    TRACE,
    BatchSize,
    EdgeOutput,
    Files,
    InputImages,
    Reporting,
    find_inputs,
    finish,
    follow,
)
from trace_edges.edge_model import Choice, EdgeModel
from trace_edges.loading import Loading
from trace_edges.training_free.settings import TraceSettings


@command
def detect(
    inputs: InputImages,
    choice: Annotated[Choice, MODEL],
    settings: Annotated[TraceSettings, TRACE],
    loading: Annotated[Loading, LOADING],
    output: Annotated[EdgeOutput, Fields("Edge maps")],
    files: Annotated[Files, FILES],
    reporting: Annotated[Reporting, FILES],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("edges"),
    batch_size: BatchSize = 1,
) -> None:
    """Detect instance edges and write an edge map, an overlay and a record of each image.

    By default, a distilled detector finds the edges in one step. With --training-free, they are
    read from the self-attention of a diffusion model, which is slower and works with every
    backbone.

    For each image NAME, the folder receives NAME.edges.png, NAME.overlay.png and NAME.json.

    Example: trace-edges detect photos --out edges
    """
    names, problems = find_inputs(inputs, files)
    model = EdgeModel.choose(choice, settings, loading)
    with waiting(model.name, hidden=not reporting.prints_table):
        from trace_edges.jobs.detecting import detect_files

        task = output.task(overlay=True)
        source = model.load()
    done = detect_files(
        source, names, out, model.source_settings(),
        task=task, overwrite=files.overwrite, batch_size=batch_size,
    )  # fmt: skip
    outcomes = follow(done, len(names), "edges", reporting)
    if reporting.prints_table:
        edges = {"edges": lambda record: escape(printable(str(out / record["edges"])))}
        print_outcomes(outcomes, out, model.method == "training-free", last=edges)
    finish(outcomes, problems)
