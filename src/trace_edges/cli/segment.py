"""`trace-edges segment`: from photographs to instances."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trace_edges.cli.common import (
    error,
    follow,
    image_cell,
    plain_errors,
    print_outcomes,
    progress,
    seconds_cell,
    size_cell,
)
from trace_edges.cli.options import (
    Backbone,
    Device,
    DType,
    EmergenceResolution,
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
    load_detector,
    load_encoder,
    load_options,
    load_sam,
)
from trace_edges.cli.refining_options import (
    CloseGap,
    Iou,
    Method,
    MethodOption,
    Quiet,
    Threshold,
    propagation,
    selection,
)
from trace_edges.cli.training_free import EMBEDDED, TrainingFree, is_one_step

_COLUMNS = {
    "image": image_cell,
    "size": size_cell,
    "t*": lambda record: "-" if record["timestep"] is None else str(record["timestep"]),
    "instances": lambda record: str(record["instances"]),
    "seconds": seconds_cell,
}


class Masks(StrEnum):
    """Names of the sources of masks, for the command line."""

    edges = "edges"
    maskcut = "maskcut"
    promerge = "promerge"


def segment(
    inputs: Annotated[list[str], typer.Argument(help="Image files, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    masks: Annotated[
        Masks, typer.Option(help="From edges alone, or from a generator and cut at the edges.")
    ] = Masks.edges,
    strength: Annotated[
        float | None, typer.Option(help="Regions that stronger edges leave. [0.125, else 0.25]")
    ] = None,
    count: Annotated[int | None, typer.Option(help="So many regions instead.", min=1)] = None,
    proposals: Annotated[
        int | None,
        typer.Option(help="Up to so many of all strengths instead; they overlap.", min=1),
    ] = None,
    min_area: Annotated[
        float, typer.Option(help="Share of the image below which a region is left out.")
    ] = 0.0,
    edges: Annotated[
        Path | None, typer.Option(help="Folder of edge maps that are there (detect --soft).")
    ] = None,
    blur: Annotated[float, typer.Option(help="Of the edges, px: 2 for maps of thin lines.")] = 0.0,
    encoder: Annotated[
        str | None,
        typer.Option(help="ViT for maskcut and promerge, as dino-vitb8. Default: attention at t*."),
    ] = None,
    crf: Annotated[bool, typer.Option("--crf", help="Snap their masks to colours first.")] = False,
    sam: Annotated[
        str | None,
        typer.Option(help="SAM or SAM 2 that draws what was found anew: a folder or a hub id."),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(help="What it is shown: points, boxes, masks with + between. [points+boxes]"),
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="Points of each instance that it is shown. [1]", min=1)
    ] = None,
    threshold: Threshold = 0.5,
    close_gap: CloseGap = 5,
    method: MethodOption = Method.watershed,
    iou: Iou = 0.5,
    training_free: Annotated[
        bool, typer.Option("--training-free", help="Edges of the teacher's way: any backbone.")
    ] = False,
    detector: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a detector, for the edges. Default: trace-mini's."),
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
    recursive: Annotated[bool, typer.Option(help="Search folders below folders.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Make again what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per image.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find instances: NAME.instances.png, NAME.overlay.png, NAME.json, and one instances.json.

    Edges are those of `trace-edges detect`: in one step, or with --training-free or a --backbone
    straight from the attention; --edges takes any that are there. Regions are those that boundaries
    stronger than 0.125 leave, or 0.25 where the edges come straight from the attention.
    """
    with plain_errors():
        from trace_edges.files import find_images, output_names
        from trace_edges.jobs import EdgeFolder, InstanceFinder, Prompting, segment_files

        if masks is Masks.edges and (encoder is not None or crf):
            raise ValueError("--encoder and --crf are for maskcut and promerge: leave them out")
        if sam is None and (prompts is not None or points is not None):
            raise ValueError("--prompts and --points are for SAM: give --sam, or leave them out")
        if edges is not None and (training_free or detector is not None):
            raise ValueError("--edges are there already: leave --training-free and --detector out")
        how = propagation(threshold, close_gap, method)
        found = find_images(inputs, recursive)
        for problem in found.problems:
            error(str(problem))
        asked = None
        if sam is not None:
            asked = Prompting(
                load_sam(sam, device, dtype), prompts or "points+boxes", points or 1, iou
            )
        way = TrainingFree(
            subcell=subcell, trajectory=trajectory, timestep=timestep, stride=stride, seed=seed,
            shift=shift, emergence_resolution=emergence_resolution,
            loaded=load_options(null, revision, quantize, offload, vae_tiling),
        )  # fmt: skip
        from_attention = masks is not Masks.edges and encoder is None
        one_step = edges is None and is_one_step(training_free, detector, backbone)
        if one_step and not from_attention:
            way.refuse()
        alone = masks is Masks.edges and edges is None and not one_step
        taken = selection(
            strength, count, proposals, min_area=min_area, blur=blur, training_free=alone
        )
        finder = InstanceFinder(
            masks.value,
            way.load(backbone, device, dtype)
            if from_attention or (edges is None and not one_step)
            else None,
            way.settings(resolution),
            None if edges is None else EdgeFolder(edges),
            None if encoder is None else load_encoder(encoder, device, dtype),
            taken,
            how,
            iou,
            crf,
            asked,
            load_detector(detector or EMBEDDED, device, dtype) if one_step else None,
        )
        with progress(len(found.images), "instances", hidden=quiet or as_json) as advance:
            names = output_names(found.images)
            done = segment_files(finder, names, out, overwrite=overwrite)
            outcomes = follow(done, advance, as_json)
        if not quiet and not as_json:
            print_outcomes(outcomes, _COLUMNS, ("image", "size"), out)
        if found.problems or any(outcome.state == "failed" for outcome in outcomes):
            raise typer.Exit(1)
