"""`trace-edges annotate`: a whole data set, killed and continued at will."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from trace_edges.cli.annotate_progress import job_progress
from trace_edges.cli.common import console, plain_errors
from trace_edges.cli.options import (
    Backbone,
    Device,
    DType,
    EmergenceResolution,
    Format,
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
)
from trace_edges.cli.panoptic import read_classes
from trace_edges.cli.refining_options import (
    CloseGap,
    Method,
    MethodOption,
    Quiet,
    Threshold,
    propagation,
    selection,
)
from trace_edges.cli.training_free import EMBEDDED, TrainingFree, is_one_step

if TYPE_CHECKING:
    from trace_edges.jobs import Shard
    from trace_edges.jobs.tasks import Task


class TaskName(StrEnum):
    """Names of the tasks, for the command line."""

    edges = "edges"
    instances = "instances"
    panoptic = "panoptic"


class Form(StrEnum):
    """Names of the forms of results, for the command line."""

    folder = "folder"
    tar = "tar"
    parquet = "parquet"
    coco = "coco"


class Kind(StrEnum):
    """Names of the kinds of sources, for the command line."""

    folder = "folder"
    tar = "tar"
    coco = "coco"
    voc = "voc"
    parquet = "parquet"
    datasets = "datasets"


class EngineName(StrEnum):
    """Names of the engines, for the command line."""

    local = "local"
    ray = "ray"


def annotate(
    source: Annotated[str, typer.Argument(help="Folder, glob, tars, COCO JSON, ...; or a URL.")],
    dest: Annotated[str, typer.Argument(help="Folder of the results; or a URL.")],
    task: Annotated[TaskName, typer.Option(help="What is made of every image.")],
    to: Annotated[Form, typer.Option(help="Form of the results in DEST.")] = Form.folder,
    kind: Annotated[
        Kind | None, typer.Option("--from", help="Kind of SOURCE. Default: what it looks like.")
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Folder of the photographs of a COCO JSON.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of VOC or datasets.")] = None,
    column: Annotated[
        str | None, typer.Option(help="Of the images, in Parquet or datasets.")
    ] = None,
    key_column: Annotated[str | None, typer.Option(help="Of names, in Parquet.")] = None,
    shard: Annotated[str, typer.Option(help="i/n: the i-th of n parts, by a hash.")] = "1/1",
    batch_size: Annotated[int, typer.Option(help="Images of one size per pass.", min=1)] = 1,
    workers: Annotated[
        int, typer.Option(help="Processes that decode and encode; 0: none.", min=0)
    ] = 1,
    part: Annotated[int, typer.Option(help="Images that share a tar or Parquet.", min=1)] = 1000,
    state: Annotated[
        Path | None, typer.Option(help="Folder of the manifest, where DEST is a URL.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try the images of the report.")] = False,
    engine: Annotated[EngineName, typer.Option(help="ray: on a Ray cluster.")] = EngineName.local,
    actors: Annotated[
        int | None,
        typer.Option(help="Copies of the model, each in a process with one thread.", min=1),
    ] = None,
    gpus: Annotated[float, typer.Option(help="With ray: GPUs of each copy.", min=0)] = 0,
    training_free: Annotated[
        bool, typer.Option("--training-free", help="The teacher's way: slower, any backbone.")
    ] = False,
    detector: Annotated[
        str | None, typer.Option(help="Folder or hub id of a detector. Default: trace-mini's.")
    ] = None,
    backbone: Backbone = EMBEDDED,
    resolution: Resolution = None,
    subcell: Subcell = None,
    trajectory: Path_ = Trajectory.inversion,
    timestep: Timestep = None,
    stride: Stride = 100,
    seed: Seed = 0,
    shift: Shift = 1.0,
    emergence_resolution: EmergenceResolution = None,
    device: Device = "auto",
    dtype: Weights = DType.float32,
    null: Null = None,
    revision: Revision = None,
    quantize: Quantize = None,
    offload: Offload = False,
    vae_tiling: VaeTiling = False,
    format: Annotated[Format, typer.Option(help="Of edges.")] = Format.png,
    soft: Annotated[bool, typer.Option("--soft", help="Smooth edges, not thin lines.")] = False,
    strength: Annotated[
        float | None, typer.Option(help="Instances: stronger boundaries close. [0.125, else 0.25]")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Instances: so many instead.", min=1)] = None,
    proposals: Annotated[
        int | None, typer.Option(help="Instances: up to so many; they overlap.", min=1)
    ] = None,
    min_area: Annotated[
        float, typer.Option(help="Instances: share of the image that is the least.")
    ] = 0.0,
    semantic: Annotated[
        Path | None, typer.Option(help="Panoptic: folder of class maps, KEY.png or KEY.npy.")
    ] = None,
    categories: Annotated[
        str | None, typer.Option(help="Panoptic: coco, voc, or a JSON with COCO's categories.")
    ] = None,
    contiguous: Annotated[
        bool, typer.Option("--contiguous", help="Panoptic: class k is the k-th category.")
    ] = False,
    things: Annotated[
        str | None, typer.Option(help="Panoptic: classes with instances, as 1,2,3.")
    ] = None,
    stuff: Annotated[str | None, typer.Option(help="Panoptic: the other classes.")] = None,
    threshold: Threshold = 0.5,
    close_gap: CloseGap = 5,
    method: MethodOption = Method.watershed,
    quiet: Quiet = False,
) -> None:
    """Annotate a data set of any size. The same command continues; changed settings are refused.

    What cannot be read goes to DEST/report.csv, with the reason; the rest is done.
    """
    with plain_errors():
        from trace_edges.jobs import Job, ModelLoader, make_sink, open_source
        from trace_edges.jobs import annotate as run
        from trace_edges.jobs.remote import absolute
        from trace_edges.load_options import LoadOptions

        way = TrainingFree(
            subcell=subcell, trajectory=trajectory, timestep=timestep, stride=stride, seed=seed,
            shift=shift, emergence_resolution=emergence_resolution,
            loaded=load_options(null, revision, quantize, offload, vae_tiling),
        )  # fmt: skip
        one_step = is_one_step(training_free, detector, backbone)
        if one_step:
            way.refuse()
        name = (detector or EMBEDDED) if one_step else backbone
        loader = ModelLoader(
            "detector" if one_step else "pipeline", name, way.settings(resolution), device,
            dtype.value, LoadOptions(**way.loaded),
        )  # fmt: skip
        what = _task(
            task,
            edges={"format": format.value, "kind": "soft" if soft else "thin"},
            instances={
                "strength": strength, "count": count, "proposals": proposals, "min_area": min_area,
                "training_free": not one_step,
            },
            panoptic={
                "semantic": semantic, "categories": categories, "contiguous": contiguous,
                "things": things, "stuff": stuff,
            },
            how=propagation(threshold, close_gap, method),
        )  # fmt: skip
        part_of, out = read_shard(shard), absolute(dest)
        job = Job(
            open_source(
                source, None if kind is None else kind.value,
                images=images, split=split, column=column, key_column=key_column,
            ),
            what, make_sink(out, to.value, what, part=part, shard=part_of), loader, out,
            shard=part_of, batch_size=batch_size, workers=workers, retry=retry, state=state,
        )  # fmt: skip
        others: Any = None
        if engine is EngineName.ray:
            from trace_edges.jobs.ray_engine import RayEngine

            others = RayEngine(actors or 1, gpus)
        elif actors is not None:
            from trace_edges.jobs.process_engine import ProcessEngine

            others = ProcessEngine(actors)
        with job_progress(task.value, quiet) as show:
            status = run(job, show, others)
        if not quiet:
            report = f"; see {dest.rstrip('/')}/report{part_of.tag}.csv" if status.failed else ""
            text = f"{status.done} done, {status.failed} failed ({status.now} now){report}"
            console.print(escape(text))
        if status.failed:
            raise typer.Exit(1)


def read_shard(text: str) -> Shard:
    """The shard that i/n stands for."""
    from trace_edges.jobs import Shard

    try:
        index, count = map(int, text.split("/"))
    except ValueError:
        raise ValueError(f"{text!r} is no shard: write the first of four as 1/4") from None
    return Shard(index, count)


def _task(name: TaskName, *, edges: Any, instances: Any, panoptic: Any, how: Any) -> Task:
    from trace_edges.jobs import EdgesTask, InstancesTask, PanopticTask

    if name is TaskName.edges:
        return EdgesTask(**edges)
    if name is TaskName.instances:
        return InstancesTask(selection(**instances))
    if panoptic["semantic"] is None:
        raise ValueError("--task panoptic cuts semantic maps: give their folder with --semantic")
    maps = panoptic.pop("semantic")
    return PanopticTask(maps.absolute(), read_classes(**panoptic), how)
