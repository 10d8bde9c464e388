"""`trace-edges annotate`: a whole data set, killed and continued at will."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from trace_edges.cli.annotate_progress import job_progress
from trace_edges.cli.common import console, error, report_first
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.finishing import FINISHING, Finishing, finished
from trace_edges.cli.options import (
    LOADING,
    MODEL,
    OF_SELECTION,
    SPLITTING,
    TRACE,
    EdgeOutput,
    Reporting,
    Splitting,
    check_inputs,
)
from trace_edges.cli.panoptic import Classes
from trace_edges.edge_model import Choice, EdgeModel
from trace_edges.inputs import fixed_part, passed_over
from trace_edges.jobs.choices import Form, Kind, Selection, TaskName
from trace_edges.loading import Loading
from trace_edges.training_free.settings import TraceSettings

if TYPE_CHECKING:
    from trace_edges.jobs.entries import Shard
    from trace_edges.jobs.task import Task


@dataclass(frozen=True)
class DataSet:
    """What SOURCE is.

    Attributes:
        kind: Kind of SOURCE. None: recognised from SOURCE itself.
        images: Folder or URL of the images that a COCO JSON lists.
        split: Split to read: a list in PASCAL VOC's ImageSets/Segmentation, such as val, or a split
            of datasets.
        column: Column that holds the images, in Parquet or datasets.
        key_column: Column that holds the names of the images, in Parquet.
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
        semantic: Folder of semantic maps, KEY.png or KEY.npy for each image.
    """

    semantic: Path | None = None


@dataclass(frozen=True)
class Running(Reporting, EdgeOutput):
    """How the job runs.

    Attributes:
        out: Another way to give DEST.
        to: How the results are stored in DEST: single files, tars of WebDataset, Parquet files, or
            one COCO JSON.
        shard: Process one part of the data set only: 2/4 is the second of four parts.
        batch_size: Number of images of one size in a pass.
        workers: Number of processes that decode images and encode results; 0 does both in the
            main process.
        part: Number of images per tar or Parquet file.
        state: Local folder for the state of the job; needed where DEST is a URL.
        retry: Try the images again that failed before.
        engine: Run the model on this machine, or on a Ray cluster.
        actors: Number of copies of the model, each in a process of its own with one thread.
        gpus: Number of GPUs for each copy, with --engine ray.
        dry_run: Process a few images in a temporary folder, say what the whole job will take in
            time, memory and disk, and write nothing to DEST.
        measure: Number of images that --dry-run measures.
        report: Write DEST/report.html at the end, as `trace-edges report` does; for folders on this
            machine.
    """

    out: str | None = None
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
    dry_run: bool = False
    measure: int = 10
    report: bool = False

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
    source: Annotated[
        str,
        typer.Argument(
            help="Folder, pattern such as 'photos/*.jpg', tars, Parquet files, COCO JSON, PASCAL "
            "VOC or a data set that datasets saved: a path or a URL."
        ),
    ],
    task: Annotated[TaskName, typer.Option(help="What to write for each image.")],
    data_set: Annotated[DataSet, Fields("Source", flags={"kind": ("--from",)})],
    running: Annotated[Running, Fields("Running", flags={"out": ("--out", "-o")})],
    choice: Annotated[Choice, MODEL],
    settings: Annotated[TraceSettings, TRACE],
    loading: Annotated[Loading, LOADING],
    selection: Annotated[Selection, Fields("Regions that edges enclose", leave_out=("blur",))],
    finishing: Annotated[Finishing, FINISHING],
    maps: Annotated[SemanticMaps, Fields("Classes (--task panoptic)")],
    cutting: Annotated[Splitting, SPLITTING],
    dest: Annotated[str | None, typer.Argument(help="Folder or URL for the results.")] = None,
) -> None:
    """Annotate a data set of any size with edges, instances or panoptic maps.

    To continue after an interruption, give the same command again; one with other settings is
    refused. Images that fail are listed in DEST/report.csv with the reason, and all others are
    done.

    Example: trace-edges annotate photos results --task instances
    """
    places = [place for place in (dest, running.out) if place is not None]
    if len(places) != 1:
        raise ValueError("give one place for the results: SOURCE DEST, or SOURCE --out DEST")
    if "://" not in source:
        check_inputs(Path(fixed_part(source)))
    from trace_edges.jobs.inputs import FolderSource
    from trace_edges.jobs.job import Job
    from trace_edges.jobs.job import annotate as run
    from trace_edges.jobs.opening import make_sink, open_source
    from trace_edges.jobs.remote import absolute

    model = EdgeModel.choose(choice, settings, loading)
    what = _task(task, model, running, selection, (maps, cutting))
    what = _finished(what, finishing, cutting.iou, loading)
    here = Path(source).is_dir() and "://" not in places[0]
    if running.report and (task == "edges" or not here):
        raise ValueError("--report shows masks of a folder of images, in a folder on this machine: "
                         "leave it out, or run `trace-edges report` afterwards")  # fmt: skip
    part_of, out = read_shard(running.shard), absolute(places[0])
    images = open_source(source, **vars(data_set))
    sink = make_sink(out, running.to, what, part=running.part, shard=part_of)
    job = Job(
        images, what, sink, model, out,
        shard=part_of, batch_size=running.batch_size, workers=running.workers,
        retry=running.retry, state=running.state,
    )  # fmt: skip
    if running.dry_run:
        from trace_edges.cli.annotate_trial import say_cost

        say_cost(job, lambda place: make_sink(place, running.to, what, part=running.part), running)
        return
    with job_progress(task, not running.prints_table) as show:
        status = run(job, show, running.copies())
    if isinstance(images, FolderSource) and images.passed_over:
        suffixes = Counter(Path(name).suffix.lower() for name in images.passed_over)
        error(f"{source}: {passed_over(suffixes)}")
    for doubt in status.doubts:
        error(f"{source}: {doubt}")
    report_first(status.reasons, status.failed, "more images failed")
    if running.report and status.done:
        from trace_edges.jobs.review import review

        with job.work.outputs.writing():
            shown = review(places[0], source, Path(places[0], f"report{part_of.tag}.html"))
        for finding in shown.findings:
            error(str(finding))
    report = f"{places[0].rstrip('/')}/report{part_of.tag}.csv"
    if running.json:
        counts = {"done": status.done, "failed": status.failed, "processed_now": status.now}
        typer.echo(json.dumps(counts | {"report": report if status.failed else None}))
    elif not running.quiet:
        report = f"; see {report}" if status.failed else ""
        text = f"{status.done} done, {status.failed} failed ({status.now} in this run){report}"
        console.print(escape(text))
    if status.failed:
        raise typer.Exit(1)


def read_shard(text: str) -> Shard:
    """The shard that i/n stands for."""
    from trace_edges.jobs.entries import Shard

    try:
        index, count = map(int, text.split("/"))
    except ValueError:
        raise ValueError(f"{text!r} is not a shard: write the first of four as 1/4") from None
    return Shard(index, count)


def _finished(task: Task, how: Finishing, iou: float, loading: Loading) -> Task:
    """A task of instances with what is done with them."""
    from trace_edges.jobs.tasks import InstancesTask

    if isinstance(task, InstancesTask):
        return replace(task, find=finished(task.find, how, iou, loading))
    if how != Finishing():
        raise ValueError("--sam and --class-names are for --task instances: leave them out")
    return task


def _task(
    name: TaskName,
    model: EdgeModel,
    output: EdgeOutput,
    selection: Selection,
    panoptic: tuple[SemanticMaps, Splitting],
) -> Task:
    from trace_edges.jobs.finding import Regions
    from trace_edges.jobs.tasks import InstancesTask, PanopticTask

    of_edges = any(getattr(output, one.name) != one.default for one in fields(EdgeOutput))
    if name != "edges" and of_edges:
        raise ValueError(
            "--format, --soft, --lines and --calibration are for --task edges: leave them out"
        )
    if name != "instances" and selection != Selection():
        raise ValueError(f"{OF_SELECTION} are for --task instances: leave them out")
    if name != "panoptic" and panoptic != (SemanticMaps(), Splitting()):
        raise ValueError("--semantic, --things, --threshold and the like are for --task panoptic: "
                         "leave them out")  # fmt: skip
    if name == "edges":
        return output.task()
    if name == "instances":
        return InstancesTask(Regions(selection, model.origin()))
    maps, cutting = panoptic
    if maps.semantic is None:
        raise ValueError("--task panoptic cuts semantic maps: give their folder with --semantic")
    propagation = cutting.propagation().usual_for(model.origin())
    return PanopticTask(maps.semantic.absolute(), maps.table(), propagation, cutting.attachment())
