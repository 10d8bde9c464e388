"""`trace-edges annotate`: a whole data set, killed and continued at will."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from trace_edges.cli.annotate_progress import job_progress
from trace_edges.cli.common import console, error, errors
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import CUTTING, LOADING, TRACE, Cutting, EdgeOutput, check_inputs
from trace_edges.cli.panoptic import Classes
from trace_edges.edge_model import Choice, EdgeModel, Loading
from trace_edges.jobs.choices import Form, Kind, Selection, TaskName
from trace_edges.training_free.settings import TraceSettings

if TYPE_CHECKING:
    from trace_edges.jobs.entries import Shard
    from trace_edges.jobs.task import Task


@dataclass(frozen=True)
class DataSet:
    """What SOURCE is.

    Attributes:
        kind: Kind of SOURCE. None: what it looks like.
        images: Folder of the photographs of a COCO JSON.
        split: Of VOC or datasets.
        column: Of the images, in Parquet or datasets.
        key_column: Of names, in Parquet.
    """

    kind: Kind | None = None
    images: str | None = None
    split: str | None = None
    column: str | None = None
    key_column: str | None = None


@dataclass(frozen=True)
class SemanticMaps(Classes):
    """Maps of classes whose things are cut into instances.

    Attributes:
        semantic: Folder of class maps, KEY.png or KEY.npy.
    """

    semantic: Path | None = None


@dataclass(frozen=True)
class Running:
    """How the job runs.

    Attributes:
        to: Form of the results in DEST.
        shard: i/n: the i-th of n parts, by a hash.
        batch_size: Images of one size per pass.
        workers: Processes that decode and encode; 0: none.
        part: Images that share a tar or Parquet.
        state: Folder of the manifest, where DEST is a URL.
        retry: Try the images of the report.
        engine: ray: on a Ray cluster.
        actors: Copies of the model, each in a process with one thread.
        gpus: With ray: GPUs of each copy.
        quiet: Print errors only.
    """

    to: Form = "folder"
    shard: str = "1/1"
    batch_size: int = 1
    workers: int = 1
    part: int = 1000
    state: Path | None = None
    retry: bool = False
    engine: Literal["local", "ray"] = "local"
    actors: int | None = None
    gpus: float = 0
    quiet: bool = False

    def copies(self) -> Any:
        """What reads the images instead of this process; None where it does."""
        if self.engine == "ray":
            from trace_edges.jobs.copies import RayCluster

            return RayCluster(self.actors or 1, self.gpus)
        if self.actors is None:
            return None
        from trace_edges.jobs.copies import Processes

        return Processes(self.actors)


@command
def annotate(
    source: Annotated[str, typer.Argument(help="Folder, glob, tars, COCO JSON, ...; or a URL.")],
    dest: Annotated[str, typer.Argument(help="Folder of the results; or a URL.")],
    task: Annotated[TaskName, typer.Option(help="What is made of every image.")],
    data_set: Annotated[DataSet, Fields("Source", flags={"kind": ("--from",)})],
    running: Annotated[Running, Fields("Running")],
    choice: Choice,
    settings: Annotated[TraceSettings, TRACE],
    loading: Annotated[Loading, LOADING],
    output: Annotated[EdgeOutput, Fields("Edges", help={"format": "Of edges."})],
    selection: Annotated[Selection, Fields("Instances", leave_out=("blur",))],
    maps: Annotated[SemanticMaps, Fields("Panoptic")],
    cutting: Annotated[Cutting, Fields(CUTTING.panel, leave_out=("iou",))],
) -> None:
    """Annotate a data set of any size. The same command continues; changed settings are refused.

    What cannot be read goes to DEST/report.csv, with the reason; the rest is done.
    """
    if not ("://" in source or glob.has_magic(source) or "{" in source):
        check_inputs(Path(source))
    from trace_edges.jobs.job import Job
    from trace_edges.jobs.job import annotate as run
    from trace_edges.jobs.opening import open_source
    from trace_edges.jobs.remote import absolute
    from trace_edges.jobs.sinks import make_sink

    model = EdgeModel.choose(choice, settings, loading)
    what = _task(task, model, output, selection, (maps, cutting))
    part_of, out = read_shard(running.shard), absolute(dest)
    job = Job(
        open_source(source, **vars(data_set)),
        what, make_sink(out, running.to, what, part=running.part, shard=part_of), model, out,
        shard=part_of, batch_size=running.batch_size, workers=running.workers,
        retry=running.retry, state=running.state,
    )  # fmt: skip
    with job_progress(task, running.quiet) as show:
        status = run(job, show, running.copies())
    for reason in status.reasons:
        error(reason)
    if status.failed > len(status.reasons):
        errors.print(f"... and {status.failed - len(status.reasons)} more images failed")
    if not running.quiet:
        report = f"; see {dest.rstrip('/')}/report{part_of.tag}.csv" if status.failed else ""
        text = f"{status.done} done, {status.failed} failed ({status.now} now){report}"
        console.print(escape(text))
    if status.failed:
        raise typer.Exit(1)


def read_shard(text: str) -> Shard:
    """The shard that i/n stands for."""
    from trace_edges.jobs.entries import Shard

    try:
        index, count = map(int, text.split("/"))
    except ValueError:
        raise ValueError(f"{text!r} is no shard: write the first of four as 1/4") from None
    return Shard(index, count)


def _task(
    name: TaskName,
    model: EdgeModel,
    output: EdgeOutput,
    selection: Selection,
    panoptic: tuple[SemanticMaps, Cutting],
) -> Task:
    from trace_edges.jobs.finding import Regions
    from trace_edges.jobs.tasks import EdgesTask, InstancesTask, PanopticTask

    if name == "edges":
        return EdgesTask(output.format, output.kind)
    if name == "instances":
        return InstancesTask(Regions(selection, training_free=model.method == "training-free"))
    maps, cutting = panoptic
    if maps.semantic is None:
        raise ValueError("--task panoptic cuts semantic maps: give their folder with --semantic")
    return PanopticTask(maps.semantic.absolute(), maps.table(), cutting.propagation())
